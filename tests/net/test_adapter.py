"""Adapter of sessions: plain requests use its connections directly, and reuse them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from bridge.net.adapter import Adapter
from bridge.net.http_config import HttpConfig
from bridge.net.session import Session, call, open_session


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers that leave the connection open; `peers` are the client's ports."""

    protocol_version = "HTTP/1.1"
    peers: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        self.peers.append(self.client_address[1])
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 1000)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture
def url() -> Iterator[str]:
    Handler.peers.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/path"
        server.shutdown()


@pytest.fixture
def session() -> Iterator[Session]:
    with open_session(HttpConfig(), Path()) as made:
        yield made


def test_a_connection_is_reused(session: Session, url: str) -> None:
    """By plain requests, and by those that go through requests."""
    for address in (url, url, f"{url}#fragment", url):
        assert call(session, "GET", address, deadline=10).status == 200
    assert len(Handler.peers) == 4
    assert len(set(Handler.peers)) == 1


def test_a_connection_is_not_reused_after_a_truncated_response(session: Session, url: str) -> None:
    """The rest of the body would be read as the next response."""
    assert [call(session, "GET", url, deadline=10, max_bytes=size).truncated for size in (10, 1000)] == [True, False]
    assert len(set(Handler.peers)) == 2


def test_a_plain_request_makes_no_response_of_requests(
    session: Session, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take a third of the time of a small request."""
    built: list[str] = []

    def build(self: Adapter, request: Any, raw: Any) -> requests.Response:
        built.append(request.url)
        return requests.adapters.HTTPAdapter.build_response(self, request, raw)

    monkeypatch.setattr(Adapter, "build_response", build)
    call(session, "GET", url, deadline=10)
    assert not built
    call(session, "GET", f"{url}#fragment", deadline=10)
    assert len(built) == 1
