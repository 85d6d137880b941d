"""Puts the web side together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse, Response

from bridge import __version__
from bridge.domain.times import Timestamp
from bridge.engine.api.views import Commands, Queries
from bridge.web.api.management import Secrets, acting_routes
from bridge.web.api.openapi import corrected
from bridge.web.api.operations import people_routes
from bridge.web.api.rules import alert_routes, rule_routes
from bridge.web.api.state import decision_routes, request_routes, state_routes
from bridge.web.api.trail import trail_routes
from bridge.web.http import responses
from bridge.web.http.guard import Guard
from bridge.web.http.settings import WebSettings
from bridge.web.http.web_config import WebConfig
from bridge.web.pages import Site, page_routes

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def create_app(
    queries: Queries,
    commands: Commands,
    settings: WebSettings,
    metrics: Callable[[Timestamp], bytes],
    config: WebConfig,
    now: Callable[[], Timestamp],
    secrets: Secrets = tuple,
) -> FastAPI:
    """The application. metrics: /metrics at an instant. secrets: those that status reports are signed with."""
    # FastAPI's own pages about the API load scripts from elsewhere; pages/api_docs.py has ours.
    app = FastAPI(title="Retrain Bridge", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, settings=settings, config=config)
    site = Site(queries, commands, settings, now)
    responses.install(app, site.error)
    reading = (rule_routes, alert_routes, state_routes, trail_routes, decision_routes, request_routes)
    for routes in reading:
        app.include_router(routes(queries))
    app.include_router(acting_routes(commands, secrets, now))
    app.include_router(people_routes(commands))
    app.include_router(page_routes(site))
    app.include_router(_management(queries, metrics, now))
    described = app.openapi

    def openapi() -> dict[str, Any]:
        return corrected(described(), settings.prefix)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's way to change the document
    return app


def _management(queries: Queries, metrics: Callable[[Timestamp], bytes], now: Callable[[], Timestamp]) -> APIRouter:
    """Metrics and health."""
    router = APIRouter(tags=["management"], default_response_class=PlainTextResponse)

    @router.get("/metrics")
    def exposition() -> Response:
        """Metrics in Prometheus' text format."""
        return Response(metrics(now()), media_type=METRICS_TYPE)

    @router.get("/-/healthy")
    async def healthy() -> PlainTextResponse:
        """200 as long as the process answers; not in a thread, so that busy handlers do not make it look dead."""
        return PlainTextResponse("retrain-bridge is healthy.\n")

    @router.get("/-/ready")
    def ready() -> PlainTextResponse:
        """200 when the bridge can do its work, else 503 with the reason."""
        is_ready, why = queries.ready()
        text = "retrain-bridge is ready.\n" if is_ready else f"retrain-bridge is not ready: {why}\n"
        return PlainTextResponse(text, 200 if is_ready else 503)

    return router
