"""Answers: data in Prometheus' envelope, errors as problem details (RFC 9457), and for people as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from bridge.domain.errors import BridgeError, RequestError, StoreError, UnknownRequestError

PROBLEM = "application/problem+json"
RETRY_SECONDS = 30
# What Prometheus calls them in its envelope; tools that know it look for this word.
_KINDS = {401: "unauthorized", 403: "forbidden", 404: "not_found", 500: "internal", 503: "unavailable"}
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_FOR_MACHINES = ("/api/", "/-/", "/metrics", "/openapi.json", "/static/")
Page = Callable[[int, str, str], Response]


def success(data: Any) -> Response:
    """`data` in the envelope."""
    return Response(msgspec.json.encode({"status": "success", "data": data}), media_type="application/json")


def refusal(
    status: int, detail: str, headers: Mapping[str, str] | None = None, fields: Iterable[tuple[str, str]] = ()
) -> Response:
    """An error. detail: what is wrong, and what would be right. fields: name and message of each that is wrong."""
    body: dict[str, Any] = {
        "type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail,
        "errorType": _KINDS.get(status, "bad_data"),
        "errors": [{"field": name, "message": message} for name, message in fields],
    }  # fmt: skip
    return Response(msgspec.json.encode(body), status, headers, PROBLEM)


def failure(error: BridgeError) -> Response:
    """What an error of ours means over HTTP."""
    if isinstance(error, UnknownRequestError):
        return refusal(404, str(error))
    if isinstance(error, RequestError):
        return refusal(409, str(error))
    if isinstance(error, StoreError):
        return refusal(503, str(error), {"Retry-After": str(RETRY_SECONDS)})
    return refusal(500, str(error))


def install(app: FastAPI, page: Page) -> None:
    """Make every error of `app` one of these. page: status, title and text as a page, for browsers on pages."""

    @app.exception_handler(BridgeError)
    def known(_: Request, error: BridgeError) -> Response:
        return failure(error)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        fields = [(".".join(map(str, item["loc"][1:])), item["msg"]) for item in error.errors()]
        detail = "; ".join(f"{name}: {message}" for name, message in fields)
        return (
            page(400, "This cannot be shown", detail) if _is_for_people(request) else refusal(400, detail, None, fields)
        )

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        detail = f"{request.scope['path']}: {error.detail}"
        headers = {"Allow": ", ".join(_methods(request))} if error.status_code == 405 else error.headers
        if _is_for_people(request):
            return page(error.status_code, HTTPStatus(error.status_code).phrase, detail)
        return refusal(error.status_code, detail, headers)


def _methods(request: Request) -> list[str]:
    """Of all routes with this path; the router names only those of the first one."""
    scope, routes = request.scope, request.app.routes
    found = {name for name in _METHODS if any(_takes(route, {**scope, "method": name}) for route in routes)}
    return sorted(found | {"HEAD"} if "GET" in found else found)


def _takes(route: BaseRoute, scope: Scope) -> bool:
    return route.matches(scope)[0] is Match.FULL


def _is_for_people(request: Request) -> bool:
    """A browser that asks for a page."""
    machine = request.scope["path"].startswith(_FOR_MACHINES)
    return not machine and "text/html" in request.headers.get("accept", "")
