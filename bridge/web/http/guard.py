"""Middleware before every handler: host names, authentication, cross-site protection and body limits."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.net.hosts import EVERY_HOST, Hosts, host_of, refused
from bridge.net.problem import ProblemError, answer, refusal
from bridge.net.request_body import read_body, replay
from bridge.web.http.auth import BasicAuth, TooManyAttemptsError
from bridge.web.http.rate_limit import TokenBucket
from bridge.web.http.settings import URL_FLAG, WebSettings
from bridge.web.http.web_config import WebConfig
from bridge.web.http.web_config_file import WebConfigFile

log = logging.getLogger(__name__)

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="retrain-bridge", charset="UTF-8"'}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
STATUS_PATH = re.compile(r"/api/v1/requests/[^/]+/status")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with "no-referrer" a browser omits the origin of the pages' own forms
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}


class Guard:
    """Pure ASGI middleware around the application. config: the web config at the start of the server."""

    def __init__(self, app: ASGIApp, settings: WebSettings, config: WebConfig) -> None:
        self._app = app
        self._settings = settings
        self._certificates = config.client_certificates  # TLS settings are fixed until a restart
        self._file = WebConfigFile(settings.web_config_file, config)
        self._limit = TokenBucket(config.rate_limit.interval, config.rate_limit.burst)
        self._auth = BasicAuth()
        self._hosts = Hosts([host_of(settings.external_url), settings.host, *settings.allowed_hosts])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {**_HEADERS, **{name: value for name, value in self._configured_headers().items() if value}}
        response = _ResponseSender(send, headers, without_body=scope["method"] == "HEAD")
        try:
            await self._serve(self._normalized(scope), receive, response)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("HTTP request failed", extra={"method": scope["method"], "path": scope["path"]})
            if response.started:
                raise
            await refusal(500, "internal error; see the log of the bridge")(scope, receive, response)

    def _configured_headers(self) -> Mapping[str, str]:
        return self._file.current().http_server_config.headers

    def _normalized(self, scope: Scope) -> Scope:
        """Return the scope without the path of --web.external-url, if a proxy has not stripped it, and HEAD as GET."""
        prefix, path = self._settings.prefix, scope["path"]
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            path = path.removeprefix(prefix) or "/"
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        return {**scope, "path": path, "method": method}

    async def _serve(self, scope: Scope, receive: Receive, response: Send) -> None:
        request = Request(scope)
        problem = await self._problem(request)
        if problem is None:
            try:
                body = await read_body(request.headers, receive)
            except ProblemError as error:
                problem = answer(error)
        if problem is not None:
            await problem(scope, receive, response)
        else:
            await self._app(scope, replay(body, receive), response)

    async def _problem(self, request: Request) -> Response | None:
        if wait := self._limit.wait():
            seconds = str(math.ceil(wait))
            return refusal(429, f"rate_limit of the web config file: retry in {seconds} s", {"Retry-After": seconds})
        host = request.headers.get("host", "")
        if request.url.path not in EVERY_HOST and not self._hosts.allows(host):
            return refusal(421, refused(host, f" or {URL_FLAG}"))
        users = self._file.current().basic_auth_users
        problem = await self._signed_in(request, users) if users else None
        if problem is not None or request.method in SAFE:
            return problem
        if self._is_foreign(request):
            return refusal(403, "cross-site requests may not change anything")
        open_to_all = not users and not self._certificates
        return self._unprotected(request) if open_to_all and not self._settings.loopback else None

    async def _signed_in(self, request: Request, users: Mapping[str, str]) -> Response | None:
        address = request.client.host if request.client is not None else ""
        try:
            if await self._auth.signed_in(request.headers.get("authorization", ""), users, address):
                return None
        except TooManyAttemptsError as error:
            detail = f"too many sign-in attempts from this address; retry in {error.seconds} s"
            return refusal(429, detail, {"Retry-After": str(error.seconds)})
        return refusal(401, "authentication required", _CHALLENGE)

    def _is_foreign(self, request: Request) -> bool:
        if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return True
        origin = request.headers.get("origin")
        own = {request.headers.get("host", "").lower(), _netloc(self._settings.external_url)}
        return origin is not None and _netloc(origin) not in own - {""}

    @staticmethod
    def _unprotected(request: Request) -> Response | None:
        if STATUS_PATH.fullmatch(request.url.path):  # the handler requires a signature
            return None
        return refusal(
            403,
            "changes are refused because the server is reachable from the network without authentication: set "
            "basic_auth_users or client certificates in --web.config.file, or listen on 127.0.0.1",
        )


class _ResponseSender:
    """ASGI `send` that adds the security headers, and omits the body of responses to HEAD."""

    def __init__(self, send: Send, headers: Mapping[str, str], *, without_body: bool) -> None:
        self._send = send
        self._headers = headers
        self._without_body = without_body
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        elif self._without_body and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return "?"
