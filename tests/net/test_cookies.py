"""Cookies are not stored."""

from __future__ import annotations

from pathlib import Path

from bridge.net.http_config import HttpConfig
from bridge.net.session import call, open_session
from tests.support.receiver import Receiver, Reply

COOKIE = {"Set-Cookie": "session=abc; Path=/"}


def test_a_cookie_is_neither_kept_nor_sent_back(tmp_path: Path) -> None:
    """Also on a redirect."""
    there = {**COOKIE, "Location": "/there"}
    with Receiver(Reply(headers=COOKIE), Reply(302, headers=there), Reply(headers=COOKIE)) as server:
        with open_session(HttpConfig(), tmp_path) as session:
            for _ in range(2):
                call(session, "GET", server.url, deadline=30, allow_redirects=True)
            assert len(session.cookies) == 0
        assert [request.path for request in server.requests] == ["/", "/", "/there"]
        assert [request.headers.get("cookie") for request in server.requests] == [None] * 3
