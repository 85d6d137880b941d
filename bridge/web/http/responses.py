"""Responses: data in the envelope of Prometheus, and errors as a page for browsers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from bridge.net import problem_handlers

RETRY_SECONDS = 30
_MACHINE_PATHS = ("/api/", "/-/", "/metrics", "/openapi.json", "/static/")
ErrorPage = Callable[[int, str, str], Response]


def success(data: msgspec.Struct) -> Response:
    """Return `data` in the envelope."""
    return Response(msgspec.json.encode({"status": "success", "data": data}), media_type="application/json")


def install(app: FastAPI, error_page: ErrorPage) -> None:
    """Make `app` answer errors with a page for browsers, else with problem details.

    error_page: builds a page from status, title and text.
    """

    def page(request: Request, status: int, title: str, text: str) -> Response | None:
        return error_page(status, title, text) if _wants_page(request) else None

    problem_handlers.install(app, RETRY_SECONDS, page)


def _wants_page(request: Request) -> bool:
    """Return whether a browser requests a page."""
    machine = request.scope["path"].startswith(_MACHINE_PATHS)
    return not machine and "text/html" in request.headers.get("accept", "")
