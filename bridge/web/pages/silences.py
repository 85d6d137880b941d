"""`/silences`: pauses of the bridge and silences of Alertmanager, both of which hold requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bridge.domain.errors import RequestError, StoreError
from bridge.domain.times import Duration
from bridge.ports.silencing import SilencingError, UnknownSilenceError
from bridge.web.api.pauses import pause_length
from bridge.web.api.silences import expire_silence, new_silence
from bridge.web.api.unseen import unseen
from bridge.web.http.identity import signed_in, who
from bridge.web.pages.forms import confirmation, form
from bridge.web.pages.site import Paging, Site

SHOWN = 50
Name = Annotated[str, Query(max_length=200)]
Id = Annotated[str, Path(max_length=200)]
Long = Annotated[str, Query(max_length=500)]


def routes(site: Site) -> APIRouter:
    """Return the routes: the list, /pause to start a pause, and /resume to end one; both are confirmed first."""
    router = APIRouter()

    @router.get("/silences")
    def index(page: Annotated[int, Query(ge=1, le=100_000)] = 1, result: str = "") -> HTMLResponse:
        view = site.queries.silences((page - 1) * SHOWN, SHOWN)
        total = view.total if view else 0
        return site.page(
            "silences.html", view=view, pauses=site.commands.pauses(), result=confirmation(result),
            silencer=bool(site.upstream.silencer and site.upstream.silencer.addresses()),
            paging=Paging(page, SHOWN, page * SHOWN < total, total),
            at_page=lambda number: site.link("/silences", page=number if number > 1 else ""),
        )  # fmt: skip

    @router.get("/pause")
    def pause(request: Request, project: Name = "", pipeline: Name = "") -> Response:
        return _page(site, request, {"project": project, "pipeline": pipeline, "duration": "1h"})

    @router.get("/resume")
    def resume(request: Request, project: Name = "", pipeline: Name = "") -> Response:
        return _page(site, request, {"project": project, "pipeline": pipeline}, ends=True)

    @router.post("/pause")
    async def paused(request: Request) -> Response:
        return await run_in_threadpool(_act, site, request, await form(request))

    @router.post("/resume")
    async def resumed(request: Request) -> Response:
        return await run_in_threadpool(_act, site, request, await form(request), ends=True)

    creation = _Creation(site)

    @router.get("/silences/new")
    def new(request: Request, project: Long = "", pipeline: Long = "", version: Long = "") -> Response:
        values = {"project": project, "pipeline": pipeline, "version": version, "duration": "1h"}
        return creation.page(request, values)

    @router.post("/silences/new")
    async def create(request: Request) -> Response:
        return await run_in_threadpool(creation.create, request, await form(request))

    @router.get("/silences/{silence_id}/expire")
    def confirm(request: Request, silence_id: Id) -> Response:
        return _end_page(site, request, silence_id)

    @router.post("/silences/{silence_id}/expire")
    async def expire(request: Request, silence_id: Id) -> Response:
        return await run_in_threadpool(_expire, site, request, silence_id, await form(request))

    return router


@dataclass(frozen=True, slots=True)
class _Creation:
    """Creation of a silence in Alertmanager."""

    site: Site

    def _addresses(self) -> Sequence[str]:
        return self.site.upstream.silencer.addresses() if self.site.upstream.silencer is not None else ()

    def page(
        self, request: Request, values: dict[str, str], status: int = 200, problem: str = "", unseen: str = ""
    ) -> Response:
        """Return the form, filled with `values`."""
        return self.site.page(
            "silence_new.html", status, live=False, values=values, user=signed_in(request), problem=problem,
            addresses=self._addresses(), unseen=unseen,
        )  # fmt: skip

    def create(self, request: Request, values: dict[str, str]) -> Response:
        """Create the silence, and redirect to the list; return the form again if it was not created."""
        addresses, silencer = self._addresses(), self.site.upstream.silencer
        if silencer is None or not addresses:
            return self.page(request, values, 409)
        try:
            silence = new_silence(values, self.site.now(), who(request, values.get("by", "")))
            if why := unseen(self.site.queries, values):
                return self.page(request, values, 409, unseen=why)
            silencer.create(values.get("address") or addresses[0], silence)
        except ValueError as error:
            return self.page(request, values, 400, str(error))
        except SilencingError as error:
            return self.page(request, values, 502, str(error))
        return RedirectResponse(self.site.link("/silences", result="silence"), 303)


def _end_page(site: Site, request: Request, silence_id: str, status: int = 200, problem: str = "") -> Response:
    user = signed_in(request)
    return site.page("silence_end.html", status, live=False, silence_id=silence_id, user=user, problem=problem)


def _expire(site: Site, request: Request, silence_id: str, values: dict[str, str]) -> Response:
    try:
        expire_silence(site.upstream, silence_id, who(request, values.get("by", "")))
    except SilencingError as error:
        status = 404 if isinstance(error, UnknownSilenceError) else 502
        return _end_page(site, request, silence_id, status, str(error))
    return RedirectResponse(site.link("/silences", result="expire"), 303)


def _page(
    site: Site, request: Request, values: dict[str, str], status: int = 200, problem: str = "", unseen: str = "",
    *, ends: bool = False,
) -> Response:  # fmt: skip
    user = signed_in(request)
    return site.page(
        "pause.html", status, live=False, values=values, ends=ends, user=user, problem=problem, unseen=unseen
    )


def _act(site: Site, request: Request, values: dict[str, str], *, ends: bool = False) -> Response:
    project, pipeline = values.get("project", ""), values.get("pipeline", "")
    try:
        length = 0 if ends else _length(values.get("duration", ""), project, pipeline)
        if not ends:
            _check_scope(values)
        if not ends and (why := unseen(site.queries, values)):
            return _page(site, request, values, 409, unseen=why)
        site.commands.pause(project, pipeline, length, who(request, values.get("by", "")), values.get("note", ""))
    except ValueError as error:
        return _page(site, request, values, 400, str(error))
    except RequestError as error:
        return site.error(409, "Nothing changed", str(error))
    except StoreError as error:
        return site.error(503, "Nothing changed", f"Cannot write to the store: {error}")
    return RedirectResponse(site.link("/silences", result="resume" if ends else "pause"), 303)


def _check_scope(values: dict[str, str]) -> None:
    """Check that a pause of everything was chosen and has its reason. Raises ValueError."""
    everything, project = values.get("everything") == "yes", values.get("project", "")
    if everything == bool(project):
        raise ValueError("either name a project, or choose all pipelines")
    if everything and not values.get("note"):
        raise ValueError("note: a pause of all pipelines needs one, for those who wonder why nothing is sent")


def _length(duration: str, project: str = "", pipeline: str = "") -> Duration:
    length = pause_length(duration, project, pipeline)
    if not length:
        raise ValueError("duration: must be greater than 0, for example 1h")
    return length
