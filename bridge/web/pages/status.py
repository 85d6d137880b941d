"""`/status`: status of the bridge itself: evaluations, delivery queues and the configuration in force."""

from __future__ import annotations

import platform

from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bridge.domain.times import Timestamp
from bridge.web.pages.forms import confirmation
from bridge.web.pages.site import Site, read

LATE = 3  # intervals without an evaluation after which a group counts as late


def routes(site: Site) -> APIRouter:
    """Return the routes: the page, and the reload of the configuration, which is confirmed first."""
    router, since = APIRouter(), site.now()

    @router.get("/status")
    def status(result: str = "") -> HTMLResponse:
        return _page(site, since, confirmation(result))

    @router.get("/reload")
    def confirm() -> HTMLResponse:
        return site.page("reload.html", live=False, problem="")

    @router.post("/reload")
    def reload() -> Response:
        outcome = site.commands.reload()
        if not outcome.ok:
            return site.page("reload.html", 409, live=False, problem=outcome.message)
        return RedirectResponse(site.link("/status", result="reload"), 303)

    return router


def _page(site: Site, since: Timestamp, result: str) -> HTMLResponse:
    queries, now, problems = site.queries, site.now(), list[str]()
    groups = queries.group_times()
    return site.page(
        "status.html", result=result, problems=problems, since=since, python=platform.python_version(),
        groups=[(name, last, interval, _late(last or since, interval, now)) for name, last, interval in groups],
        configured=queries.destinations(), queues=read(lambda: sorted(queries.queue_depths().items()), problems),
        requests=queries.request_counts(), models=queries.model_counts(), configuration=queries.configuration(),
        changes=queries.config_changes(),        fleet=site.fleet(),
    )  # fmt: skip


def _late(last: Timestamp, interval: int, now: Timestamp) -> bool:
    return now - last > LATE * interval
