"""ASGI application with all routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse, Response

from bridge import __version__
from bridge.domain.times import Timestamp
from bridge.engine.api.interface import Commands, Queries
from bridge.web.api.fleet import Fleet, no_fleet
from bridge.web.api.management import Secrets, management_routes
from bridge.web.api.openapi import corrected
from bridge.web.api.operations import operator_routes
from bridge.web.api.rules import alert_routes, rule_routes
from bridge.web.api.silences import silence_routes
from bridge.web.api.state import decision_routes, request_routes, state_routes
from bridge.web.api.trail import history_routes, trail_routes
from bridge.web.http import responses
from bridge.web.http.guard import Guard
from bridge.web.http.settings import WebSettings
from bridge.web.http.web_config import WebConfig
from bridge.web.http.web_config_file import WebConfigFile
from bridge.web.pages import Site, page_routes
from bridge.web.upstream import NO_UPSTREAM, Upstream

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def create_app(
    queries: Queries,
    commands: Commands,
    settings: WebSettings,
    metrics: Callable[[Timestamp], bytes],
    config: WebConfig,
    now: Callable[[], Timestamp],
    secrets: Secrets = tuple,
    fleet: Fleet = no_fleet,
    upstream: Upstream = NO_UPSTREAM,
) -> FastAPI:
    """Build the application.

    metrics: returns the exposition for /metrics at an instant.
    secrets: returns the secrets that sign status reports.
    fleet: returns the state of the fleet, None without one.
    upstream: Prometheus and Alertmanager as the pages and the API use them.
    """
    # FastAPI's own API pages load scripts from other origins; pages/api_docs.py replaces them.
    app = FastAPI(title="Retrain Bridge", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, settings=settings, config=config)
    site = Site(queries, commands, settings, now, fleet, _read_only(settings, config), upstream)
    responses.install(app, site.error)
    app.include_router(state_routes(queries, fleet))
    app.include_router(rule_routes(queries, now))
    for routes in (alert_routes, trail_routes, decision_routes, request_routes):
        app.include_router(routes(queries))
    app.include_router(history_routes(queries, upstream.histories))
    app.include_router(management_routes(commands, secrets, now))
    app.include_router(operator_routes(queries, commands))
    app.include_router(silence_routes(queries, upstream, now))
    app.include_router(page_routes(site))
    app.include_router(_management(queries, metrics, now))
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        return corrected(generated(), settings.prefix)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def _read_only(settings: WebSettings, config: WebConfig) -> Callable[[], bool]:
    """Return a function that returns whether Guard refuses every change, because nobody can sign in."""
    file = WebConfigFile(settings.web_config_file, config)
    safe = settings.loopback or bool(config.client_certificates)
    return lambda: not safe and not file.current().basic_auth_users


def _management(queries: Queries, metrics: Callable[[Timestamp], bytes], now: Callable[[], Timestamp]) -> APIRouter:
    """Return the routes for metrics and health."""
    router = APIRouter(tags=["management"], default_response_class=PlainTextResponse)

    @router.get("/metrics", summary="Metrics")
    def exposition() -> Response:
        """Return the metrics in Prometheus text format."""
        return Response(metrics(now()), media_type=METRICS_TYPE)

    @router.get("/-/healthy", summary="Health")
    async def healthy() -> PlainTextResponse:
        """Return 200 while the process is alive."""
        # Not in a worker thread, so that busy handlers cannot make the process look dead.
        return PlainTextResponse("retrain-bridge is healthy.\n")

    @router.get("/-/ready", summary="Readiness")
    def ready() -> PlainTextResponse:
        """Return 200 if the bridge is ready, else 503 with the reason."""
        is_ready, reason = queries.ready()
        text = "retrain-bridge is ready.\n" if is_ready else f"retrain-bridge is not ready: {reason}\n"
        return PlainTextResponse(text, 200 if is_ready else 503)

    return router
