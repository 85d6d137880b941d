"""Application that the server has until the state is loaded: alive, and nothing else.

It does not import FastAPI, which takes as long as the rest of the start.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bridge.web.http.guard import Guard
from bridge.web.http.settings import WebConfig, WebSettings

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_starting_app(settings: WebSettings, config: WebConfig) -> Starlette:
    """Build an application of which only /-/healthy succeeds. Hosts, users and origins are checked as always."""
    return Starlette(
        routes=[Route("/-/healthy", _healthy), Route("/{path:path}", _others, methods=METHODS)],
        middleware=[Middleware(Guard, settings=settings, config=config)],
    )


async def _healthy(_: Request) -> PlainTextResponse:
    return PlainTextResponse("retrain-bridge is healthy.\n")


async def _others(_: Request) -> PlainTextResponse:
    text = "retrain-bridge is not ready: it loads its state from the store\n"
    return PlainTextResponse(text, 503, {"Retry-After": "1"})
