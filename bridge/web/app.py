"""Puts the web side together."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge import __version__
from bridge.domain.errors import BridgeError
from bridge.domain.times import Timestamp
from bridge.engine.views import Commands, Queries
from bridge.web.api import Secrets, acting_routes, failure, history_routes, rule_routes, state_routes
from bridge.web.guard import Guard, refusal
from bridge.web.pages import page_routes
from bridge.web.settings import WebConfig, WebSettings

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
    app = FastAPI(title="Retrain Bridge", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(_UnderPrefix, prefix=settings.prefix)
    app.add_middleware(BaseHTTPMiddleware, dispatch=Guard(settings, config, secrets))

    @app.get("/metrics", include_in_schema=False)
    def exposition() -> Response:
        return Response(metrics(now()), media_type=METRICS_TYPE)

    @app.get("/-/healthy", include_in_schema=False)
    def healthy() -> PlainTextResponse:
        return PlainTextResponse("retrain-bridge is healthy.\n")

    @app.get("/-/ready", include_in_schema=False)
    def ready() -> PlainTextResponse:
        is_ready, why = queries.ready()
        text = "retrain-bridge is ready.\n" if is_ready else f"retrain-bridge is not ready: {why}\n"
        return PlainTextResponse(text, 200 if is_ready else 503)

    for routes in (rule_routes, state_routes, history_routes):
        app.include_router(routes(queries))
    app.include_router(acting_routes(commands, secrets, now))
    app.include_router(page_routes(queries, settings))
    _errors(app)
    return app


class _UnderPrefix:
    """Serves below the path of the external URL too, as Prometheus does, whether or not a proxy strips it."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._prefix and scope["path"].startswith(f"{self._prefix}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self._prefix)}
        await self._app(scope, receive, send)


def _errors(app: FastAPI) -> None:
    """Every error in Prometheus' envelope."""

    @app.exception_handler(BridgeError)
    def known(_: Request, error: BridgeError) -> JSONResponse:
        return failure(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        texts = [f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in error.errors()]
        return refusal(400, "bad_data", "; ".join(texts))

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        return refusal(error.status_code, "not_found" if error.status_code == 404 else "bad_data", str(error.detail))
