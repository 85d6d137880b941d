"""Responses: data in the envelope of Prometheus, errors as problem details (RFC 9457) or as a page for browsers."""

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
# `errorType` as in the envelope of Prometheus.
_ERROR_TYPES = {401: "unauthorized", 403: "forbidden", 404: "not_found", 500: "internal", 503: "unavailable"}
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_MACHINE_PATHS = ("/api/", "/-/", "/metrics", "/openapi.json", "/static/")
Page = Callable[[int, str, str], Response]


def success(data: msgspec.Struct) -> Response:
    """Return `data` in the envelope."""
    return Response(msgspec.json.encode({"status": "success", "data": data}), media_type="application/json")


def refusal(
    status: int, detail: str, headers: Mapping[str, str] | None = None, fields: Iterable[tuple[str, str]] = ()
) -> Response:
    """Return problem details.

    detail: the error, and how to fix it.
    fields: name and message of each invalid parameter or body member.
    """
    body: dict[str, Any] = {
        "type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail,
        "errorType": _ERROR_TYPES.get(status, "bad_data"),
        "errors": [{"field": name, "message": message} for name, message in fields],
    }  # fmt: skip
    return Response(msgspec.json.encode(body), status, headers, PROBLEM)


def failure(error: BridgeError) -> Response:
    """Return the response for an expected error."""
    if isinstance(error, UnknownRequestError):
        return refusal(404, str(error))
    if isinstance(error, RequestError):
        return refusal(409, str(error))
    if isinstance(error, StoreError):
        return refusal(503, str(error), {"Retry-After": str(RETRY_SECONDS)})
    return refusal(500, str(error))


def install(app: FastAPI, page: Page) -> None:
    """Make `app` return every error in this format. page: builds an error page from status, title and text."""

    @app.exception_handler(BridgeError)
    def known(_: Request, error: BridgeError) -> Response:
        return failure(error)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        fields = [(".".join(map(str, item["loc"][1:])), item["msg"]) for item in error.errors()]
        detail = "; ".join(f"{name}: {message}" for name, message in fields)
        return page(400, "Invalid parameters", detail) if _wants_page(request) else refusal(400, detail, None, fields)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        detail = f"{request.scope['path']}: {error.detail}"
        headers = {"Allow": ", ".join(_methods(request))} if error.status_code == 405 else error.headers
        if _wants_page(request):
            return page(error.status_code, HTTPStatus(error.status_code).phrase, detail)
        return refusal(error.status_code, detail, headers)


def _methods(request: Request) -> list[str]:
    """Return the methods of all routes with this path; the router reports only those of the first one."""
    scope, routes = request.scope, request.app.routes
    methods = {name for name in _METHODS if any(_matches(route, {**scope, "method": name}) for route in routes)}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _matches(route: BaseRoute, scope: Scope) -> bool:
    return route.matches(scope)[0] is Match.FULL


def _wants_page(request: Request) -> bool:
    """Return whether a browser requests a page."""
    machine = request.scope["path"].startswith(_MACHINE_PATHS)
    return not machine and "text/html" in request.headers.get("accept", "")
