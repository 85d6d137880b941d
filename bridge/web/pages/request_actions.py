"""Operator actions on requests. Each is confirmed on a page first, and only a POST changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from bridge.domain.errors import RequestError, StoreError, UnknownRequestError
from bridge.domain.model import ModelKey
from bridge.domain.request import Feedback, RequestRecord
from bridge.web.api.unseen import unseen
from bridge.web.http.identity import call_key, signed_in, who
from bridge.web.pages import bulk
from bridge.web.pages.formats import words
from bridge.web.pages.forms import form
from bridge.web.pages.requests import actions
from bridge.web.pages.site import Site

ACTIONS = {
    "approve": (
        "Approve",
        "The request is sent once the other gates are open too: a pause, cooldown or silence still holds it.",
    ),
    "release": ("Release", "The request is sent now, bypassing every gate that holds it."),
    "withdraw": (
        "Withdraw",
        "The request is never sent, and its episode makes no further request. A new episode can request again.",
    ),
    "cancel": ("Cancel", "The runs of this request are cancelled in their orchestrators. Nothing is started again."),
    "start-again": (
        "Start again",
        "If the run is still not found, it is started once more. If the first call arrives late, there are two runs.",
    ),
    "retry": ("Retry", "Deliveries that wait for their next attempt are retried at once, under the same id."),
    "redrive": (
        "Redrive",
        "Dead deliveries are queued again, under the same id, so that receivers can recognize the request.",
    ),
}
FEEDBACK = {
    "useful": ("Useful", "The model needed this retraining. The rules page and the metrics count it for the rule."),
    "false": ("False", "The model needed no retraining. The rules page and the metrics count it for the rule."),
    "late": ("Late", "The model needed it earlier. The rules page and the metrics count it for the rule."),
}
_NEEDED = {
    "approve": "only one that awaits approval can be approved.",
    "release": "only one that is held or awaits approval can be released.",
    "withdraw": "only one that is held or awaits approval can be withdrawn.",
    "cancel": "only one whose runs can be cancelled, and were not yet, can be cancelled.",
    "start-again": "none of its runs is held.",
    "retry": "none of its deliveries to a configured destination waits for a retry.",
    "redrive": "none of its deliveries to a configured destination is dead.",
}
_NO_RETRY = "No delivery of this request to a configured destination waits for a retry."
_MODEL = ("project", "pipeline", "version")
Name = Annotated[str, Query(max_length=500)]


def routes(site: Site) -> APIRouter:
    """Return the routes: /requests/new, and /requests/ID/... for each of ACTIONS and FEEDBACK."""
    router, creation = APIRouter(), _Creation(site)

    @router.get("/requests/new")
    def new(request: Request, project: Name = "", pipeline: Name = "", version: Name = "") -> Response:
        return creation.page(request, {"project": project, "pipeline": pipeline, "version": version})

    @router.post("/requests/new")
    async def create(request: Request) -> Response:
        return await run_in_threadpool(creation.create, request, await form(request))

    bulk.add(router, site)
    for name in (*ACTIONS, *FEEDBACK):
        _add(router, _Action(site, name))
    return router


def _add(router: APIRouter, action: _Action) -> None:
    path = f"/requests/{{request_id}}/{action.name}"

    @router.get(path)
    def confirm(request_id: str, request: Request) -> Response:
        return action.confirm(request_id, request)

    @router.post(path)
    async def act(request_id: str, request: Request) -> Response:
        return await run_in_threadpool(action.act, request_id, request, await form(request))


@dataclass(frozen=True, slots=True)
class _Action:
    """One action on a request. name: a key of ACTIONS or FEEDBACK."""

    site: Site
    name: str

    def confirm(self, request_id: str, request: Request) -> Response:
        """Return the confirmation page."""
        try:
            record = self.site.queries.request(request_id)
        except StoreError as error:
            return self.site.error(503, "Store unavailable", str(error))
        if record is None:
            return self.site.error(404, "Request not found", f"There is no request {request_id!r}.")
        title, text = (ACTIONS | FEEDBACK)[self.name]
        heading = f"Mark a request as {self.name}" if self.name in FEEDBACK else ""
        return self.site.page(
            "confirm.html", live=False, title=title, heading=heading, text=text, record=record, what=self.name,
            user=signed_in(request), why_not=self._why_not(record),
        )  # fmt: skip

    def _why_not(self, record: RequestRecord) -> str:
        """Return why the action is not possible in the present state; "" if it is."""
        queries = self.site.queries
        if self.name in FEEDBACK or self.name in actions(
            record, queries.deliveries(record.id), queries.destinations(), queries.runs(record.id)
        ):
            return ""
        return f"the request is {words(record.state.value)}, and {_NEEDED[self.name]}"

    def act(self, request_id: str, request: Request, values: dict[str, str]) -> Response:
        """Perform the action, and redirect to the request's page."""
        commands, by, key = self.site.commands, who(request, values.get("by", "")), call_key(request)
        try:
            if self.name == "redrive":
                if not commands.redrive(request_id, values.get("destination") or None):
                    return self.site.error(409, "Nothing changed", "This request has no dead deliveries.")
            elif self.name == "retry":
                if not commands.retry(request_id):
                    return self.site.error(409, "Nothing changed", _NO_RETRY)
            elif self.name in FEEDBACK:
                commands.feedback(request_id, Feedback(self.name), by, values.get("note", ""), key)
            else:
                commands.act(request_id, self.name, by, values.get("note", ""), key)
        except (RequestError, StoreError) as error:
            return _failed(self.site, error)
        return RedirectResponse(f"{self.site.request_link(request_id)}?result={self.name}", 303)


@dataclass(frozen=True, slots=True)
class _Creation:
    """Creation of a request by hand."""

    site: Site

    def page(
        self, request: Request, values: dict[str, str], status: int = 200, problem: str = "", unseen: str = ""
    ) -> Response:
        """Return the form, filled with `values`."""
        user = signed_in(request)
        model = [values.get(name, "") for name in _MODEL]
        refusal = self.site.commands.refusal(ModelKey(*model)) if all(model) and not problem else ""
        return self.site.page(
            "request_new.html", status, live=False, values=values, user=user, problem=problem, refusal=refusal,
            unseen=unseen,
        )  # fmt: skip

    def create(self, request: Request, values: dict[str, str]) -> Response:
        """Create the request, and redirect to its page; return the form again if it is refused."""
        missing = [name for name in (*_MODEL, "reason") if not values.get(name)]
        if missing:
            return self.page(request, values, 400, f"missing: {', '.join(missing)}")
        if why := unseen(self.site.queries, values):
            return self.page(request, values, 409, unseen=why)
        model, by = ModelKey(*(values[name] for name in _MODEL)), who(request, values.get("by", ""))
        force, key = values.get("force") == "yes", call_key(request)
        try:
            record = self.site.commands.create(model, values["reason"], by, force=force, key=key)
        except RequestError as error:
            return self.page(request, values, 409, str(error))
        except StoreError as error:
            return _failed(self.site, error)
        return RedirectResponse(f"{self.site.request_link(record.id)}?result=create", 303)


def _failed(site: Site, error: RequestError | StoreError) -> Response:
    if isinstance(error, UnknownRequestError):
        return site.error(404, "Request not found", str(error))
    if isinstance(error, StoreError):
        return site.error(503, "Nothing changed", f"Cannot write to the store: {error}")
    return site.error(409, "Nothing changed", str(error))
