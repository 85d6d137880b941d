"""Reading of request bodies, with limits on size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from bridge.net.problem import ProblemError

MAX_BODY = 1 << 20  # bytes
BODY_SECONDS = 10.0
_MAX_DISCARDED = 8 * MAX_BODY  # bytes
_DISCARD_SECONDS = 2.0
_CLOSE = {"Connection": "close"}


def is_json(headers: Mapping[str, str]) -> bool:
    """Return whether the media type is that of JSON."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def read_body(headers: Mapping[str, str], receive: Receive, limit: int = MAX_BODY) -> bytes:
    """Return the whole body, of at most `limit` bytes.

    Raises ProblemError if it is too large or too slow, ClientDisconnect if the client left.
    """
    length = headers.get("content-length", "")
    if not length and "transfer-encoding" not in headers:
        return b""
    try:
        if length.isdecimal() and (len(length) > 9 or int(length) > limit):
            raise _too_long(limit)
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(receive, limit)
    except TimeoutError:
        raise ProblemError(408, f"the body did not arrive within {BODY_SECONDS:g} seconds", headers=_CLOSE) from None
    except ProblemError:
        # Closing a connection with unread bytes resets it, and the client would never see the response.
        await _discard(receive)
        raise


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that first returns `body`, and then the messages of the original `receive`."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


def _too_long(limit: int) -> ProblemError:
    return ProblemError(413, f"the body is larger than {limit} bytes", headers=_CLOSE)


async def _read(receive: Receive, limit: int) -> bytes:
    body, more = bytearray(), True
    while more:
        part, more = await _next(receive)
        body += part
        if len(body) > limit:
            raise _too_long(limit)
    return bytes(body)


async def _discard(receive: Receive) -> None:
    remaining, more = _MAX_DISCARDED, True
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            while more and remaining > 0:
                part, more = await _next(receive)
                remaining -= len(part)
    except TimeoutError:
        return


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), bool(message.get("more_body", False))
