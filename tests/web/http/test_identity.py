"""Identity of the caller."""

from __future__ import annotations

import base64

import pytest
from fastapi import Request

from bridge.web.http.identity import signed_in, who


def request(authorization: str = "", client: tuple[str, int] | None = ("10.0.0.1", 1)) -> Request:
    headers = [(b"authorization", authorization.encode())] if authorization else []
    return Request({"type": "http", "headers": headers, "client": client})


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("header", "user"),
    [
        (basic(b"ada:pass:word"), "ada"),
        (basic("\u00e4da:x".encode()), "\u00e4da"),
        (basic(b"ada:x").replace("Basic", "bAsIc"), "ada"),
        ("", ""),
        ("Bearer abc", ""),
        ("Basic !!!", ""),
        (basic(b"\xff:x"), ""),
    ],
)
def test_the_user_is_read_from_basic_auth(header: str, user: str) -> None:
    assert signed_in(request(header)) == user


def test_the_authenticated_user_comes_before_a_claimed_name() -> None:
    """Then the claimed name, the address, and a word for neither."""
    assert who(request(basic(b"ada:x")), "bob") == "ada"
    assert who(request(), "bob") == "bob"
    assert who(request(), "") == "10.0.0.1"
    assert who(request(client=None), "") == "unknown"
