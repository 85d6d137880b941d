"""Bodies of requests: limits on size and time, for both HTTP servers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from bridge.net import request_body
from bridge.net.problem import ProblemError
from bridge.net.request_body import is_json, read_body, replay

CHUNKED = {"transfer-encoding": "chunked"}


def parts(*chunks: bytes, disconnect: bool = False) -> list[Message]:
    """Return the messages of a body in several parts."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    return [*messages, {"type": "http.disconnect"} if disconnect else {"type": "http.request", "more_body": False}]


def receiver(messages: Sequence[Message]) -> Receive:
    """Return a `receive` of these messages, which then waits for ever."""
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def test_a_body_in_parts_is_put_together() -> None:
    """Up to the limit itself."""
    assert asyncio.run(read_body(CHUNKED, receiver(parts(b"ab", b"cd")), limit=4)) == b"abcd"


def test_without_a_length_nothing_is_awaited() -> None:
    """A GET has no body."""
    assert asyncio.run(read_body({}, receiver([]))) == b""


@pytest.mark.parametrize("headers", [CHUNKED, {"content-length": "5"}, {"content-length": "9" * 30}])
def test_a_larger_body_is_413(headers: dict[str, str]) -> None:
    """By its length, before it is read, or by what arrives; the connection is closed."""
    with pytest.raises(ProblemError) as caught:
        asyncio.run(read_body(headers, receiver(parts(b"abc", b"de")), limit=4))
    assert (caught.value.status, caught.value.headers) == (413, {"Connection": "close"})
    assert str(caught.value) == "the body is larger than 4 bytes"


def test_a_body_that_does_not_arrive_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it does not help."""
    monkeypatch.setattr(request_body, "BODY_SECONDS", 0.01)
    with pytest.raises(ProblemError, match=r"within 0\.01 seconds") as caught:
        asyncio.run(read_body(CHUNKED, receiver(parts(b"ab")[:1])))
    assert caught.value.status == 408


def test_a_client_that_leaves_is_no_problem_of_the_body() -> None:
    """There is nobody to answer."""
    with pytest.raises(ClientDisconnect):
        asyncio.run(read_body(CHUNKED, receiver(parts(b"ab", disconnect=True))))


def test_a_body_that_was_read_can_be_read_again() -> None:
    """Then the messages of the connection follow."""

    async def twice() -> list[Message]:
        receive = replay(b"abc", receiver([{"type": "http.disconnect"}]))
        return [await receive(), await receive()]

    first, second = asyncio.run(twice())
    assert (first["body"], first["more_body"], second["type"]) == (b"abc", False, "http.disconnect")


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [("application/json", True), ("Application/JSON; charset=utf-8", True), ("text/plain", False), ("", False)],
)
def test_json_is_recognized(media_type: str, expected: bool) -> None:
    """Whatever its case and parameters."""
    assert is_json({"content-type": media_type} if media_type else {}) is expected
