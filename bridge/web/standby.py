"""Application of a standby: its own health and metrics; every other request goes to the fleet's owner."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bridge import __version__
from bridge.domain import waits
from bridge.net.problem import refusal
from bridge.web.app import METRICS_TYPE
from bridge.web.http.guard import SAFE, Guard
from bridge.web.http.identity import FORWARDED_BY, IDEMPOTENCY_KEY
from bridge.web.http.settings import WebSettings
from bridge.web.http.web_config import WebConfig

RETRY_AFTER = {"Retry-After": "5"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# Headers of one connection, and those that the answer's own body sets.
_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "content-length", "content-encoding", "accept-encoding", "expect",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Answer of the owner."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoOwnerError(Exception):
    """Owner that is not known or does not answer. sent: whether the request may have reached it."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Forward(Protocol):
    """Way to the owner. Raises NoOwnerError."""

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, repeatable: bool = False
    ) -> Forwarded:
        """Send a request to the owner, and return its answer.

        path: with the query.
        repeatable: a repeat changes nothing, so repeat it while there is no answer, at the next owner too.
        """
        ...


def _advice(headers: Mapping[str, str], *, repeatable: bool) -> str:
    """Return what to do after a change whose outcome is unknown."""
    if not repeatable:
        return "look whether the change was made before you repeat it"
    key = headers[IDEMPOTENCY_KEY.lower()]
    return f"repeat it with the header {IDEMPOTENCY_KEY}: {key}, so that it is applied once"


def create_standby_app(
    settings: WebSettings, config: WebConfig, metrics: Callable[[], bytes], forward: Forward
) -> FastAPI:
    """Build the application of a standby. Hosts, users and origins are checked here and by the owner."""
    app = FastAPI(title="Retrain Bridge", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, settings=settings, config=config)

    @app.get("/-/healthy")
    async def healthy() -> PlainTextResponse:
        return PlainTextResponse("retrain-bridge is healthy.\n")

    @app.get("/-/ready")
    async def ready() -> PlainTextResponse:
        return PlainTextResponse("retrain-bridge is ready: a standby of its fleet.\n")

    @app.get("/metrics")
    def exposition() -> Response:
        return Response(metrics(), media_type=METRICS_TYPE)

    @app.api_route("/{path:path}", methods=METHODS)
    async def others(request: Request) -> Response:
        if FORWARDED_BY in request.headers:
            return refusal(503, "this replica is a standby, and the request was forwarded to it", RETRY_AFTER)
        changes = request.method not in SAFE
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        headers[FORWARDED_BY] = "1"
        if changes:
            headers.setdefault(IDEMPOTENCY_KEY.lower(), secrets.token_hex(16))
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        body = await request.body()
        try:
            repeatable = changes and waits.SILENCES not in request.url.path  # Alertmanager would create a second one
            answer = await run_in_threadpool(forward, request.method, target, headers, body, repeatable=repeatable)
        except NoOwnerError as error:
            if error.sent and changes:
                return refusal(504, f"{error}; {_advice(headers, repeatable=repeatable)}")
            return refusal(503, f"{error}; another replica takes over, try again", RETRY_AFTER)
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
        return Response(answer.body, answer.status, kept)

    return app
