"""Reads what a client sends, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

MAX_BODY = 1 << 20
BODY_SECONDS = 10.0
_DISCARDED = 8 * MAX_BODY
_DISCARD_SECONDS = 2.0


class BodyError(Exception):
    """A body is not taken. status: the HTTP status that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body. BodyError when it is too long or too slow; ClientDisconnect when the client went away."""
    length = headers.get("content-length", "")
    if not length and "transfer-encoding" not in headers:
        return b""
    try:
        if length.isdecimal() and (len(length) > 9 or int(length) > MAX_BODY):
            raise _too_long()
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(receive)
    except TimeoutError:
        raise BodyError(408, f"the body did not arrive within {BODY_SECONDS:g} seconds") from None
    except BodyError:
        # A connection that is closed with unread bytes is reset, and the client never sees why.
        await _discard(receive)
        raise


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out `body` again, then goes on with the real one."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _too_long() -> BodyError:
    return BodyError(413, f"a body has at most {MAX_BODY} bytes")


async def _read(receive: Receive) -> bytes:
    body, more = bytearray(), True
    while more:
        part, more = await _next(receive)
        body += part
        if len(body) > MAX_BODY:
            raise _too_long()
    return bytes(body)


async def _discard(receive: Receive) -> None:
    left, more = _DISCARDED, True
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            while more and left > 0:
                part, more = await _next(receive)
                left -= len(part)
    except TimeoutError:
        return


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), bool(message.get("more_body", False))
