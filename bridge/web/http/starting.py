"""Application that the server has until the state is loaded: alive, and nothing else."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from bridge.web.http.guard import Guard
from bridge.web.http.settings import WebConfig, WebSettings

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_starting_app(settings: WebSettings, config: WebConfig) -> FastAPI:
    """Build an application of which only /-/healthy succeeds. Hosts, users and origins are checked as always."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, settings=settings, config=config)

    @app.get("/-/healthy")
    async def healthy() -> PlainTextResponse:
        return PlainTextResponse("retrain-bridge is healthy.\n")

    @app.api_route("/{path:path}", methods=METHODS)
    async def others() -> PlainTextResponse:
        text = "retrain-bridge is not ready: it loads its state from the store\n"
        return PlainTextResponse(text, 503, {"Retry-After": "1"})

    return app
