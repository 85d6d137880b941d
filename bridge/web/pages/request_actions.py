"""What people do with a request on the page: each act is confirmed first, and only a POST changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from bridge.domain.errors import RequestError, StoreError, UnknownRequestError
from bridge.domain.model import ModelKey
from bridge.web.http.identity import signed_in, who
from bridge.web.pages.forms import form
from bridge.web.pages.site import Site

ACTS = {
    "approve": (
        "Approve",
        "It is sent when the other gates are open too: a pause, cooldown or silence still holds it.",
    ),
    "release": ("Release", "It is sent now, past every gate that holds it."),
    "withdraw": ("Withdraw", "It is never sent, and its episode asks no more. A new episode may ask again."),
    "retry": ("Retry", "What waits for its next attempt is tried at once, under the same id."),
    "redrive": ("Redrive", "What was given up is queued again, under the same id. Receivers know it by its id."),
}
_MODEL = ("project", "pipeline", "version")
Name = Annotated[str, Query(max_length=500)]


def routes(site: Site) -> APIRouter:
    """/requests/new and /requests/ID/{approve,release,withdraw,retry,redrive}."""
    router, asking = APIRouter(), _Asking(site)

    @router.get("/requests/new")
    def new(request: Request, project: Name = "", pipeline: Name = "", version: Name = "") -> Response:
        return asking.page(request, {"project": project, "pipeline": pipeline, "version": version})

    @router.post("/requests/new")
    async def create(request: Request) -> Response:
        return await run_in_threadpool(asking.create, request, await form(request))

    for what in ACTS:
        _add(router, _Acting(site, what))
    return router


def _add(router: APIRouter, acting: _Acting) -> None:
    path = f"/requests/{{request_id}}/{acting.what}"

    @router.get(path)
    def confirm(request_id: str, request: Request) -> Response:
        return acting.confirm(request_id, request)

    @router.post(path)
    async def act(request_id: str, request: Request) -> Response:
        return await run_in_threadpool(acting.act, request_id, request, await form(request))


@dataclass(frozen=True, slots=True)
class _Acting:
    """One act on one request."""

    site: Site
    what: str

    def confirm(self, request_id: str, request: Request) -> Response:
        try:
            record = self.site.queries.request(request_id)
        except StoreError as error:
            return self.site.error(503, "The store cannot be read", str(error))
        if record is None:
            return self.site.error(404, "No such request", f"there is no request {request_id!r}")
        title, text = ACTS[self.what]
        return self.site.page(
            "confirm.html", live=False, title=title, text=text, record=record, what=self.what, user=signed_in(request)
        )

    def act(self, request_id: str, request: Request, asked: dict[str, str]) -> Response:
        commands, by = self.site.commands, who(request, asked.get("by", ""))
        try:
            if self.what == "redrive":
                if not commands.redrive(request_id, asked.get("destination") or None):
                    return self.site.error(409, "Nothing was changed", "nothing of this request was given up")
            elif self.what == "retry":
                if not commands.retry(request_id):
                    return self.site.error(409, "Nothing was changed", "nothing of this request waits for a retry")
            else:
                commands.act(request_id, self.what, by, asked.get("note", ""))
        except (RequestError, StoreError) as error:
            return _failed(self.site, error)
        return RedirectResponse(f"{self.site.request_link(request_id)}?result={self.what}", 303)


@dataclass(frozen=True, slots=True)
class _Asking:
    """A request by hand."""

    site: Site

    def page(self, request: Request, asked: dict[str, str], status: int = 200, problem: str = "") -> Response:
        user = signed_in(request)
        return self.site.page("request_new.html", status, live=False, asked=asked, user=user, problem=problem)

    def create(self, request: Request, asked: dict[str, str]) -> Response:
        missing = [name for name in (*_MODEL, "reason") if not asked.get(name)]
        if missing:
            return self.page(request, asked, 400, f"fill in {', '.join(missing)}")
        model = ModelKey(*(asked[name] for name in _MODEL))
        force = asked.get("force") == "yes"
        try:
            record = self.site.commands.create(model, asked["reason"], who(request, asked.get("by", "")), force=force)
        except RequestError as error:
            return self.page(request, asked, 409, str(error))
        except StoreError as error:
            return _failed(self.site, error)
        return RedirectResponse(f"{self.site.request_link(record.id)}?result=create", 303)


def _failed(site: Site, error: RequestError | StoreError) -> Response:
    if isinstance(error, UnknownRequestError):
        return site.error(404, "No such request", str(error))
    if isinstance(error, StoreError):
        return site.error(503, "Nothing was changed", f"the store cannot be written: {error}")
    return site.error(409, "Nothing was changed", str(error))
