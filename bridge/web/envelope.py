"""Answers in Prometheus' envelope, and every error as one."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bridge.domain.errors import BridgeError, RequestError, StoreError, UnknownRequest

_KINDS = {401: "unauthorized", 403: "forbidden", 404: "not_found", 500: "internal", 503: "unavailable"}


def success(data: Any) -> Response:
    """`data` in the envelope."""
    return Response(msgspec.json.encode({"status": "success", "data": data}), media_type="application/json")


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error in the envelope; errorType follows the status as in Prometheus, 401 and 403 have words of their own."""
    body = {"status": "error", "errorType": _KINDS.get(status, "bad_data"), "error": message}
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def failure(error: BridgeError) -> Response:
    """What an error of ours means over HTTP."""
    if isinstance(error, UnknownRequest):
        return refusal(404, str(error))
    if isinstance(error, RequestError):
        return refusal(409, str(error))
    return refusal(503 if isinstance(error, StoreError) else 500, str(error))


def install(app: FastAPI) -> None:
    """Make every error of `app` an envelope."""

    @app.exception_handler(BridgeError)
    def known(_: Request, error: BridgeError) -> Response:
        return failure(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        texts = [f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in error.errors()]
        return refusal(400, "; ".join(texts))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return refusal(error.status_code, f"{request.scope['path']}: {error.detail}", headers)
