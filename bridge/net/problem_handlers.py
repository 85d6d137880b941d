"""Handlers of an application that answer every error with problem details."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from bridge.domain.errors import BridgeError, RequestError, StoreError, UnknownRequestError
from bridge.domain.wording import sentence
from bridge.net.problem import ProblemError, answer, path, refusal

log = logging.getLogger(__name__)

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
Page = Callable[[Request, int, str, str], Response | None]


def no_page(_request: Request, _status: int, _title: str, _text: str) -> Response | None:
    """Return None: errors are problem details for every client."""
    return None


def install(app: FastAPI, retry_seconds: int, page: Page = no_page) -> None:
    """Make `app` answer every error with problem details.

    retry_seconds: Retry-After of answers while the store cannot be used.
    page: returns an error page for a browser from status, title and text, None for other clients.
    """

    @app.exception_handler(ProblemError)
    def failed(_: Request, error: ProblemError) -> Response:
        return answer(error)

    @app.exception_handler(BridgeError)
    def known(request: Request, error: BridgeError) -> Response:
        return _expected(request, error, retry_seconds)

    @app.exception_handler(ClientDisconnect)
    def gone(_: Request, _error: ClientDisconnect) -> Response:
        return refusal(400, "the connection ended before the body")

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        fields = [(_field(item), _message(item)) for item in error.errors()]
        detail = "; ".join(f"{name}: {message}" for name, message in fields)
        return page(request, 400, "Invalid parameters", detail) or refusal(400, detail, None, fields)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        status, detail = error.status_code, f"{request.scope['path']}: {error.detail}"
        headers = {"Allow": ", ".join(_methods(request))} if status == 405 else error.headers
        return page(request, status, HTTPStatus(status).phrase, detail) or refusal(status, detail, headers)


def _expected(request: Request, error: BridgeError, retry_seconds: int) -> Response:
    """Return the response for an error of the bridge."""
    if isinstance(error, UnknownRequestError):
        return refusal(404, str(error))
    if isinstance(error, RequestError):
        return refusal(409, str(error))
    if isinstance(error, StoreError):
        log.error("cannot use the store", extra={"path": request.scope["path"], "error": str(error)})
        return refusal(503, str(error), {"Retry-After": str(retry_seconds)})
    return refusal(500, str(error))


def _field(error: Mapping[str, Any]) -> str:
    """Return the field of an error of FastAPI; "body" where the whole body is wrong."""
    where, *parts = error["loc"]
    return path([] if error["type"] == "json_invalid" else parts) or str(where)


def _message(error: Mapping[str, Any]) -> str:
    """Return what is wrong with the field of an error of FastAPI, and what would be right."""
    if isinstance(error.get("input"), bytes):  # FastAPI decodes no other body
        return "must be JSON with the header Content-Type: application/json"
    names = [part for part in error["loc"][1:] if isinstance(part, str)]
    return sentence(error, names[-1] if names else str(error["loc"][0]))


def _methods(request: Request) -> list[str]:
    """Return the methods of all routes with this path; the router reports only those of the first one."""
    scope, routes = request.scope, request.app.routes
    methods = {name for name in _METHODS if any(_matches(route, {**scope, "method": name}) for route in routes)}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _matches(route: BaseRoute, scope: Scope) -> bool:
    return route.matches(scope)[0] is Match.FULL
