"""One HTTP exchange: what is sent without requests' preparation, and reading within a limit."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import requests
from urllib3 import BaseHTTPResponse

from bridge.net.attempt import exchange, read
from bridge.net.http_config import HttpConfig
from bridge.net.session import open_session
from tests.support.receiver import Raw, Receiver, Reply


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session(HttpConfig(), Path()) as made:
        made.headers["X-Own"] = "session"
        yield made


def get(session: requests.Session, url: str, *, redirects: bool = False) -> AbstractContextManager[BaseHTTPResponse]:
    return exchange(session, "GET", url, None, {"X-More": "call"}, 60.0, redirects=redirects)


def get_whole(session: requests.Session, url: str, *, redirects: bool = False) -> int:
    with get(session, url, redirects=redirects) as response:
        response.read()
        return response.status


def test_a_plain_request_has_the_headers_of_session_and_call(session: requests.Session) -> None:
    """And a length, if it has a body."""
    with Receiver() as server:
        get_whole(session, f"{server.url}/a?b=c%20d")
        with exchange(session, "POST", f"{server.url}/a", b"xyz", {}, 60.0, redirects=False):
            pass
        first, second = server.requests
    assert (first.method, first.path) == ("GET", "/a?b=c%20d")
    assert (first.headers["x-own"], first.headers["x-more"]) == ("session", "call")
    assert (second.body, second.headers["content-length"]) == (b"xyz", "3")


@pytest.mark.parametrize("path", ["/a b", "/\u00e4", "/x#fragment"])
def test_other_urls_are_quoted(session: requests.Session, path: str) -> None:
    with Receiver() as server:
        get_whole(session, server.url + path)
        (got,) = server.requests
    assert got.path in {"/a%20b", "/%C3%A4", "/x"}


def test_credentials_of_the_session_are_sent(session: requests.Session) -> None:
    session.auth = requests.auth.HTTPBasicAuth("ada", "x")
    with Receiver() as server:
        get_whole(session, f"{server.url}/")
        assert server.requests[0].headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(("redirects", "status", "calls"), [(False, 302, 1), (True, 200, 2)])
def test_redirects_are_followed_on_request(session: requests.Session, redirects: bool, status: int, calls: int) -> None:
    with Receiver(Reply(302, b"", {"Location": "/next"}), Reply(200)) as server:
        assert get_whole(session, f"{server.url}/first", redirects=redirects) == status
        assert len(server.requests) == calls


CHUNKED = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
ZIPPED = Reply(200, gzip.compress(b"a" * 1000), {"Content-Encoding": "gzip"})


@pytest.mark.parametrize("reply", [Reply(200, b"abcdefg"), Raw(CHUNKED)])
@pytest.mark.parametrize(
    ("limit", "must_fit", "expected"),
    [
        (7, False, (b"abcdefg", False)),
        (7, True, (b"abcdefg", False)),
        (3, False, (b"abc", True)),
        (3, True, (b"", True)),
    ],
)
def test_a_body_is_read_up_to_the_limit(
    session: requests.Session, reply: Reply | Raw, limit: int, must_fit: bool, expected: tuple[bytes, bool]
) -> None:
    """However it is sent."""
    with Receiver(reply) as server, get(session, f"{server.url}/") as response:
        assert read(response, limit, must_fit=must_fit) == expected


@pytest.mark.parametrize(("limit", "size", "truncated"), [(1000, 1000, False), (999, 0, True)])
def test_the_limit_is_of_the_decompressed_size(
    session: requests.Session, limit: int, size: int, truncated: bool
) -> None:
    with Receiver(ZIPPED) as server, get(session, f"{server.url}/") as response:
        body, cut = read(response, limit, must_fit=True)
        assert (len(body), cut) == (size, truncated)
