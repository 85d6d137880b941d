"""`/requests`: those that wait for somebody, and all; `/requests/ID`: one, from its reason to whether it helped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from bridge.domain.errors import StoreError
from bridge.domain.request import RequestRecord, RequestState
from bridge.domain.times import Timestamp
from bridge.ports import DeliveryRecord, DeliveryState, RequestFilter
from bridge.web.pages.forms import done
from bridge.web.pages.site import Site, tried, words

SHOWN, WAITING = 50, 100
_WAITING = (RequestState.AWAITING_APPROVAL, RequestState.HELD)
Name = Annotated[str, Query(max_length=500)]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to a request."""

    at: Timestamp
    what: str
    text: str = ""


def routes(site: Site) -> APIRouter:
    """The list is filtered by state and by the exact parts of a model's name."""
    router = APIRouter()

    @router.get("/requests")
    def several(
        state: Annotated[list[str] | None, Query()] = None,
        project: Name = "",
        pipeline: Name = "",
        version: Name = "",
        after: Name = "",
    ) -> HTMLResponse:
        states = tuple(item for item in RequestState if item.value in (state or ()))
        which = RequestFilter(states, project, pipeline, version, SHOWN + 1, after)
        problems: list[str] = []
        found = tried(lambda: site.queries.requests(which), problems)
        waiting = tried(lambda: site.queries.requests(RequestFilter(_WAITING, limit=WAITING)), problems)
        chosen = [item.value for item in states]
        asked = {"state": chosen, "project": project, "pipeline": pipeline, "version": version}
        return site.page(
            "requests.html", found=found[:SHOWN], waiting=waiting, problems=problems, chosen=chosen, asked=asked,
            filtered=any(asked.values()), states=[item.value for item in RequestState],
            older=site.link("/requests", **asked, after=found[SHOWN - 1].id) if len(found) > SHOWN else "",
            newest=site.link("/requests", **asked) if after else "",
        )  # fmt: skip

    @router.get("/requests/{request_id}")
    def one(request_id: str, result: str = "") -> HTMLResponse:
        try:
            record = site.queries.request(request_id)
        except StoreError as error:
            return site.error(503, "The store cannot be read", f"{error}; the page is worth another try")
        if record is None:
            return site.error(
                404, "No such request", f"{request_id!r} is not known: it was never made, or so long ago that it is "
                "no longer kept",
            )  # fmt: skip
        problems: list[str] = []
        deliveries = tried(lambda: site.queries.deliveries(request_id), problems)
        return site.page(
            "request.html", record=record, request=record.request, deliveries=deliveries, problems=problems,
            story=story(record, deliveries), result=done(result), actions=actions(record, deliveries),
            sent=msgspec.json.format(msgspec.json.encode(record.request.to_json()), indent=2).decode(),
        )  # fmt: skip

    return router


def actions(record: RequestRecord, deliveries: list[DeliveryRecord]) -> list[str]:
    """What people may do with it as it stands."""
    found = ["approve"] if record.state is RequestState.AWAITING_APPROVAL else []
    if record.state.waiting:
        found += ["release", "withdraw"]
    if any(item.state is DeliveryState.RETRY for item in deliveries):
        found.append("retry")
    if any(item.state is DeliveryState.DEAD for item in deliveries):
        found.append("redrive")
    return found


def story(record: RequestRecord, deliveries: list[DeliveryRecord]) -> list[Step]:
    """What happened, oldest first; what holds it now comes last."""
    request = record.request
    steps = [Step(request.episode_start, "episode began"), Step(request.triggered_at, "triggered", request.reason)]
    steps += [Step(act.at, act.what, f"by {act.who}" + (f": {act.note}" if act.note else "")) for act in record.acts]
    if record.sent_at:
        steps.append(Step(record.sent_at, "sent", "to " + (", ".join(record.destinations) or "nobody")))
    steps += [
        Step(item.updated_at, "delivered", f"to {item.destination}, at attempt {item.attempts}")
        for item in deliveries if item.state is DeliveryState.DELIVERED
    ]  # fmt: skip
    if record.ended_at:
        steps.append(Step(record.ended_at, words(record.state.value), record.message))
    elif record.state in {RequestState.ACCEPTED, RequestState.RUNNING}:
        steps.append(Step(record.updated_at, words(record.state.value), record.message))
    if record.verdict is not None:
        steps.append(Step(record.verdict_at, "judged", words(record.verdict.value)))
    return sorted(steps, key=lambda step: step.at)
