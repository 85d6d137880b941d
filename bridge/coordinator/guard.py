"""Access control: no calls from browser pages, host names, and authentication of writes where configured."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from starlette.requests import Request

from bridge.coordinator.config import CoordinatorConfig, split_listen
from bridge.domain.times import Timestamp
from bridge.net.hosts import EVERY_HOST, Hosts, refused
from bridge.net.problem import ProblemError
from bridge.net.request_body import is_json, read_body
from bridge.net.signature import SignatureError, verify

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def refuse_browsers(request: Request) -> None:
    """Refuse writes made by browser pages: the coordinator has none, so they come from another site."""
    if request.method in _SAFE:
        return
    if request.headers.get("sec-fetch-site", "none") != "none" or "origin" in request.headers:
        raise ProblemError(403, "calls from browser pages are refused")


class HostGuard:
    """Check that the Host header is one of the coordinator's names."""

    def __init__(self, config: CoordinatorConfig) -> None:
        self._hosts = Hosts([split_listen(config.listen)[0], *config.allowed_hosts])

    def __call__(self, request: Request) -> None:
        """Check the Host header."""
        host = request.headers.get("host", "")
        if request.url.path not in EVERY_HOST and not self._hosts.allows(host):
            raise ProblemError(421, refused(host))


async def read_json_body(request: Request, limit: int) -> bytes:
    """Read a JSON body of at most `limit` bytes. Raises ProblemError, and ClientDisconnect if the client left."""
    if not is_json(request.headers):
        raise ProblemError(415, "send application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(415, "send the body without a content encoding")
    return await read_body(request.headers, request.receive, limit)


async def read_nothing(request: Request) -> None:
    """Refuse a body, so that a signature over the body of another call cannot be reused here."""
    if await read_body(request.headers, request.receive):
        raise ProblemError(400, "this call must not have a body")


def authenticate(
    config: CoordinatorConfig, headers: Mapping[str, str], body: bytes, now: Timestamp, message_id: str = ""
) -> None:
    """Check the signature or bearer token, if either is configured. Raises ProblemError.

    message_id: webhook-id required of a signature, for calls whose body does not identify the request.
    """
    if not config.secret_file and not config.token_file:
        return
    try:
        secrets, token = config.secrets(), config.token()
        signed = bool(secrets) and "webhook-signature" in headers
        if signed:
            verify(secrets, headers, body, now)
    except SignatureError as error:
        raise ProblemError(401, f"the signature is not valid: {error}") from None
    except ValueError as error:
        raise ProblemError(503, f"cannot use a secret: {error}", headers={"Retry-After": "30"}) from None
    if signed:
        if message_id and headers.get("webhook-id") != message_id:
            raise ProblemError(401, "the signature is for another call: webhook-id must be the id of the request")
        return
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return
    ways = ["sign the call (Standard Webhooks)"] * bool(secrets) + ["send the bearer token"] * bool(token)
    raise ProblemError(401, " or ".join(ways), headers={"WWW-Authenticate": "Bearer"} if token else None)
