"""Who may do what: basic auth, no writes from other sites or unprotected networks, small bodies."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import bcrypt
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bridge.web.settings import WebConfig, WebSettings

MAX_BODY = 1 << 20
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_NOBODY = bcrypt.hashpw(b"", bcrypt.gensalt(4)).decode()
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}
Next = Callable[[Request], Awaitable[Response]]


def refusal(status: int, kind: str, message: str) -> JSONResponse:
    """An error in Prometheus' envelope."""
    return JSONResponse({"status": "error", "errorType": kind, "error": message}, status)


class Guard:
    """Looks at every request before a handler sees it."""

    def __init__(self, settings: WebSettings, config: WebConfig, secrets: Callable[[], Sequence[str]]) -> None:
        self._settings = settings
        self._config = config
        self._secrets = secrets
        self._known: set[bytes] = set()

    async def __call__(self, request: Request, following: Next) -> Response:
        problem = await self._problem(request)
        response = problem if problem is not None else await following(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def _problem(self, request: Request) -> Response | None:
        if not self._host_known(request):
            return refusal(421, "bad_data", "this host name is not served here; use --web.external-url")
        if self._config.basic_auth_users and not await self._signed_in(request):
            answer = refusal(401, "unauthorized", "sign in")
            answer.headers["WWW-Authenticate"] = 'Basic realm="retrain-bridge"'
            return answer
        if request.method in SAFE:
            return None
        return self._write_problem(request) or await self._body_problem(request)

    def _host_known(self, request: Request) -> bool:
        """On loopback without a password, only its own names: else a web page could rebind its name to us."""
        if not self._settings.loopback or self._config.protects:
            return True
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        own = urlsplit(self._settings.external_url).hostname
        return host in {"localhost", "127.0.0.1", "::1", self._settings.host, own}

    def _write_problem(self, request: Request) -> Response | None:
        site = request.headers.get("sec-fetch-site", "same-origin")
        origin, host = request.headers.get("origin"), request.headers.get("host", "")
        foreign = origin is not None and urlsplit(origin).netloc != host
        if site not in {"same-origin", "none"} or foreign:
            return refusal(403, "forbidden", "changes are not taken from another site")
        signed = request.url.path.endswith("/status") and bool(self._secrets())
        if not self._settings.loopback and not self._config.protects and not signed:
            return refusal(
                403, "forbidden",
                "changes are taken from this machine only, until --web.config.file sets basic_auth_users or client "
                "certificates",
            )  # fmt: skip
        return None

    @staticmethod
    async def _body_problem(request: Request) -> Response | None:
        too_large = refusal(413, "bad_data", f"a body has at most {MAX_BODY} bytes")
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return too_large
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                return too_large
        request._body = body
        return None

    async def _signed_in(self, request: Request) -> bool:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(value, validate=True).partition(b":")
            name = user.decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        if scheme.lower() != "basic":
            return False
        hashed = self._config.basic_auth_users.get(name, "")
        # bcrypt takes a tenth of a second on purpose: what was right once is remembered by a keyed digest.
        seen = hmac.new(hashed.encode() or b"-", user + b":" + password, hashlib.sha256).digest()
        if seen in self._known:
            return True
        right = await run_in_threadpool(bcrypt.checkpw, password[:72], (hashed or _NOBODY).encode())
        if right and hashed:
            self._known.add(seen)
        return bool(right and hashed)
