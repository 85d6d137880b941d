"""Reading of request bodies: limits on size and time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from bridge.web.http import body
from bridge.web.http.body import MAX_BODY, BodyError, read_body, replay


class Client:
    """Sends parts, then nothing more. left: parts that were not read."""

    def __init__(self, *parts: bytes, more: bool = False, leaves: bool = False) -> None:
        self.left = list(parts)
        self.more, self.leaves = more, leaves

    async def receive(self) -> dict[str, Any]:
        if not self.left:
            if self.leaves:
                return {"type": "http.disconnect"}
            await asyncio.Event().wait()
        part = self.left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self.left) or self.more or self.leaves}


def read(client: Client, **headers: str) -> bytes:
    return asyncio.run(read_body({name.replace("_", "-"): value for name, value in headers.items()}, client.receive))


def test_parts_are_joined() -> None:
    assert read(Client(b"a", b"", b"bc"), content_length="3") == b"abc"
    assert read(Client(b"a", b"bc"), transfer_encoding="chunked") == b"abc"


def test_without_a_length_there_is_no_body() -> None:
    """Nothing is read: the client may keep the connection for its next request."""
    client = Client(b"next")
    assert read(client) == b""
    assert client.left == [b"next"]


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "9" * 5000])
def test_a_large_length_is_refused_and_the_body_discarded(length: str) -> None:
    """So that the client reads the response instead of a reset."""
    client = Client(b"x" * 100, b"y")
    with pytest.raises(BodyError, match=str(MAX_BODY)) as caught:
        read(client, content_length=length)
    assert (caught.value.status, client.left) == (413, [])


def test_a_large_body_is_refused_whatever_its_length_says() -> None:
    assert len(read(Client(b"x" * MAX_BODY), content_length="1")) == MAX_BODY
    with pytest.raises(BodyError) as caught:
        read(Client(b"x" * MAX_BODY, b"y", b"z"), transfer_encoding="chunked")
    assert caught.value.status == 413


def test_endless_bodies_are_not_read_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_MAX_DISCARDED", 10)
    client = Client(*[b"x" * 4] * 100)
    with pytest.raises(BodyError):
        read(client, content_length=str(MAX_BODY + 1))
    assert len(client.left) == 97


def test_a_slow_body_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the rest is not waited for either."""
    monkeypatch.setattr(body, "BODY_SECONDS", 0.01)
    with pytest.raises(BodyError, match=r"within 0\.01 seconds") as caught:
        read(Client(b"x", more=True), content_length="5")
    assert caught.value.status == 408
    monkeypatch.setattr(body, "_DISCARD_SECONDS", 0.01)
    with pytest.raises(BodyError) as caught:
        read(Client(b"x", more=True), content_length=str(MAX_BODY + 1))
    assert caught.value.status == 413


def test_a_client_that_leaves_is_an_exception_of_its_own() -> None:
    with pytest.raises(ClientDisconnect):
        read(Client(b"x", leaves=True), content_length="5")


def test_a_body_can_be_read_once_more() -> None:
    """What follows comes from the client: a disconnect, for example."""

    async def both() -> list[dict[str, Any]]:
        again = replay(b"abc", Client(leaves=True).receive)
        return [dict(await again()), dict(await again())]

    assert asyncio.run(both()) == [
        {"type": "http.request", "body": b"abc", "more_body": False}, {"type": "http.disconnect"},
    ]  # fmt: skip
