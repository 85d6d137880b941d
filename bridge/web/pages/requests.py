"""`/requests`: waiting requests, and all requests; `/requests/ID`: one request with its timeline and deliveries."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bridge.domain.errors import StoreError
from bridge.domain.request import RequestRecord, RequestState
from bridge.engine.api.operator_actions import run_destinations
from bridge.ports import DeliveryRecord, DeliveryState, RequestFilter, Run
from bridge.web.pages.forms import confirmation
from bridge.web.pages.site import Site, read
from bridge.web.pages.timeline import timeline

SHOWN, WAITING = 50, 100
CANDIDATES = 1000  # requests among which the first digits of an id are looked for
SHORT_ID = re.compile(r"[0-9a-f]{4,31}")
WAITING_STATES = (RequestState.AWAITING_APPROVAL, RequestState.HELD)
Name = Annotated[str, Query(max_length=500)]


def routes(site: Site) -> APIRouter:
    """Return the routes. The list can be filtered by state and by the exact parts of a model's name."""
    router = APIRouter()

    @router.get("/requests")
    def index(
        state: Annotated[list[str] | None, Query()] = None,
        project: Name = "",
        pipeline: Name = "",
        version: Name = "",
        rule: Name = "",
        after: Name = "",
    ) -> HTMLResponse:
        states = tuple(item for item in RequestState if item.value in (state or ()))
        query = RequestFilter(states, project, pipeline, version, SHOWN + 1, after, rule)
        problems: list[str] = []
        requests = read(lambda: site.queries.requests(query), problems)
        waiting = read(lambda: site.queries.requests(RequestFilter(WAITING_STATES, limit=WAITING)), problems)
        chosen = [item.value for item in states]
        filters = {"state": chosen, "project": project, "pipeline": pipeline, "version": version, "rule": rule}
        return site.page(
            "requests.html", requests=requests[:SHOWN], waiting=waiting, problems=problems, chosen=chosen,
            filters=filters, filtered=any(filters.values()), states=[item.value for item in RequestState],
            older=site.link("/requests", **filters, after=requests[SHOWN - 1].id) if len(requests) > SHOWN else "",
            newest=site.link("/requests", **filters) if after else "",
        )  # fmt: skip

    @router.get("/requests/{request_id}")
    def one(request_id: str, result: str = "") -> Response:
        try:
            record = site.queries.request(request_id)
        except StoreError as error:
            return site.error(503, "Store unavailable", f"{error}. Try again later.")
        if record is None:
            return _of_first_digits(site, request_id)
        problems: list[str] = []
        deliveries = read(lambda: site.queries.deliveries(request_id), problems)
        runs = read(lambda: site.queries.runs(request_id), problems)
        configured = site.queries.destinations()
        episodes = read(lambda: site.queries.episodes(record.request.model), problems)
        return site.page(
            "request.html", runs=runs, record=record, request=record.request, deliveries=deliveries, problems=problems,
            timeline=timeline(record, deliveries, episodes), result=confirmation(result),
            actions=actions(record, deliveries, configured, runs), configured=configured,
            sent=msgspec.json.format(msgspec.json.encode(record.request.to_json()), indent=2).decode(),
        )  # fmt: skip

    return router


def _of_first_digits(site: Site, digits: str) -> Response:
    """Redirect to the only request among the latest ones whose id begins with these digits, else explain."""
    found: list[str] = []
    if SHORT_ID.fullmatch(digits):
        latest = read(lambda: site.queries.requests(RequestFilter(limit=CANDIDATES)), [])
        found = [record.id for record in latest if record.id.startswith(digits)]
    if len(found) == 1:
        return RedirectResponse(site.request_link(found[0]), 302)
    if found:
        text = f"{len(found)} of the latest requests begin with {digits!r}: {', '.join(found[:5])}."
        return site.error(404, "Request not found", text)
    return site.error(
        404, "Request not found", f"There is no request {digits!r}: it does not exist, or is older than the "
        "retention time.",
    )  # fmt: skip


def actions(
    record: RequestRecord, deliveries: Sequence[DeliveryRecord], configured: Collection[str], runs: Sequence[Run] = ()
) -> list[str]:
    """Return the actions that are possible in the present state. configured: destinations of the configuration."""
    possible = ["approve"] if record.state is RequestState.AWAITING_APPROVAL else []
    if record.state.waiting:
        possible += ["release", "withdraw"]
    if record.state.in_flight and run_destinations(record) and not record.acted("cancel"):
        possible.append("cancel")
    if record.state.in_flight and any(run.held for run in runs):
        possible.append("start-again")
    states = {item.state for item in deliveries if item.destination in configured}
    if DeliveryState.RETRY in states:
        possible.append("retry")
    if DeliveryState.DEAD in states:
        possible.append("redrive")
    return possible
