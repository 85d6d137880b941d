"""Slow clients: disconnected after a timeout, or earlier at the connection limit."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.net import listener
from bridge.net.listener import AcceptedConnection
from bridge.web.http.settings import WebSettings
from bridge.web.http.web_config import TlsServer, WebConfig
from tests.support.attack import NO_HANDSHAKE, UNFINISHED_BODY, UNFINISHED_HEAD
from tests.support.processes import wait_until
from tests.support.web import Site, make_certificate, serving

GET = "GET {} HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n"
KEPT_ALIVE = b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@contextlib.contextmanager
def clients(site: Site, opening: bytes, number: int) -> Iterator[list[socket.socket]]:
    """Open this many connections, and send these bytes on each; KEPT_ALIVE is answered before the next is sent."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(site.connect()) for _ in range(number)]
        for client in made:
            client.sendall(opening)
            answer = b""
            while opening == KEPT_ALIVE and not answer.endswith(b"is healthy.\n"):
                answer += client.recv(65_536)
        yield made


def ended(client: socket.socket) -> bool:
    """Return whether the server closes the connection within 300 seconds."""
    client.settimeout(300)
    try:
        while client.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def is_open(client: socket.socket) -> bool:
    """Return whether the connection is still open."""
    client.settimeout(0)
    try:
        while client.recv(65_536):
            pass
    except BlockingIOError:
        return True
    return False


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "LIMITS", dict.fromkeys(listener.LIMITS, 0.2))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("opening", [b"", UNFINISHED_HEAD, UNFINISHED_BODY, KEPT_ALIVE + UNFINISHED_HEAD])
def test_a_request_that_is_never_finished_is_cut(opening: bytes) -> None:
    """No byte, a partial header, a partial body, or silence after a complete request."""
    with serving() as site, clients(site, opening, 1) as (client,):
        assert ended(client)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("opening", [UNFINISHED_HEAD, UNFINISHED_BODY])
def test_a_byte_now_and_then_wins_no_time(opening: bytes) -> None:
    """The whole header and body must arrive in time."""
    with serving() as site, clients(site, opening, 1) as (client,):
        client.settimeout(0.02)

        def cut() -> bool:
            try:
                client.sendall(b"x")
                return not client.recv(65_536)
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        wait_until(cut, 30, "the connection being cut")


def test_a_client_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its response would stay in memory forever."""
    monkeypatch.setattr(listener, "LIMITS", {**listener.LIMITS, "answer": 2.0})
    with serving() as site, socket.socket() as client:
        site.metrics = b"x" * 50_000_000
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", site.port))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        wait_until(lambda: not site.server._socket._connections, 30, "the connection being cut")


@pytest.mark.usefixtures("impatient")
def test_a_handshake_that_never_ends_is_cut(tmp_path: Path) -> None:
    """asyncio itself would wait for a minute."""
    make_certificate(tmp_path, "server")
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
    settings = WebSettings("127.0.0.1:0", web_config_file=tmp_path / "web.yml")
    tls = WebConfig(tls_server_config=TlsServer(cert_file="server.pem", key_file="server.key"))
    with serving(settings, tls) as site, clients(site, NO_HANDSHAKE, 2) as both:
        assert [ended(client) for client in both] == [True, True]
        wait_until(lambda: not site.server._socket._connections, 30, "both being forgotten")


class Scripted:
    """Connection with scripted behaviour."""

    def __init__(self) -> None:
        self.awaited: tuple[str, object] = ("head", 1)

    def waits_for(self) -> tuple[str, object]:
        return self.awaited

    def abort(self) -> None:
        raise AssertionError


def test_the_time_of_a_client_starts_over_with_each_request() -> None:
    """A client that keeps sending requests is never late; an idle one is."""
    with AcceptedConnection() as connection:
        connection.on_close = lambda _: None
        connection.client = client = Scripted()
        waited = []
        for now, awaited in enumerate([("head", 1), ("head", 1), ("", 1), ("head", 2), ("body", 2), ("body", 2)]):
            client.awaited = awaited
            connection.refresh(float(now + 100))
            waited.append(now + 100 - connection.since)
    assert waited == [0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize("opening", [b"", UNFINISHED_HEAD, UNFINISHED_BODY, KEPT_ALIVE])
def test_at_the_cap_who_keeps_us_waiting_gives_way(
    opening: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The longest waiting goes first: the newest stays, without any timeout."""
    monkeypatch.setattr(listener, "LIMITS", dict.fromkeys(listener.LIMITS, 3600.0))
    with serving() as site:
        site.server._server.config.timeout_keep_alive = 3600
        site.server._socket.most = 8
        with clients(site, opening, 8) as held:
            wait_until(lambda: len(site.server._socket._connections) == 8, 10, "eight connections")
            assert site.raw(GET.format("/-/healthy"))[0] == 200
            assert ended(held[0])
            assert is_open(held[-1])
    assert "too many connections: the longest waiting are closed" in caplog.messages


def test_a_request_that_is_being_answered_never_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """If all connections are busy, a new client is refused at once."""
    leave, inside = threading.Event(), threading.Semaphore(0)

    def slow() -> tuple[bool, str]:
        inside.release()
        leave.wait(300)
        return True, ""

    with serving() as site:
        monkeypatch.setattr(site.queries, "ready", slow)
        site.server._socket.most = 4
        with clients(site, GET.format("/-/ready").replace("\n", "\r\n").encode(), 4) as held:
            assert all(inside.acquire(timeout=60) for _ in held)
            with site.connect() as another:
                assert ended(another)
            leave.set()
            assert [client.recv(12) for client in held] == [b"HTTP/1.1 200"] * 4


def test_without_descriptors_a_client_gives_way_and_one_line_reports_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio would log two thousand lines per second, with a pause after each."""
    failures = iter([True, False])
    real = socket.socket.accept

    def accept(listening: socket.socket) -> tuple[socket.socket, object]:
        if listening is site.server._socket and held and next(failures, False):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(listening)

    held: list[socket.socket] = []
    with serving() as site, clients(site, UNFINISHED_HEAD, 3) as three:
        wait_until(lambda: len(site.server._socket._connections) == 3, 10, "three connections")
        monkeypatch.setattr(socket.socket, "accept", accept)
        held += three
        assert site.raw(GET.format("/-/healthy"))[0] == 200
        assert ended(three[0])
        monkeypatch.undo()
    assert caplog.messages.count("no file descriptor left for a connection") == 1
    assert [item.name for item in caplog.records if item.name == "asyncio"] == []


@pytest.mark.parametrize(("soft", "most"), [(1024, 512), (256, 128), (1 << 20, 512), (-1, 512), (4, 4)])
def test_half_of_the_descriptors_are_kept_for_queries_and_deliveries(
    monkeypatch: pytest.MonkeyPatch, soft: int, most: int
) -> None:
    monkeypatch.setattr(listener.resource, "getrlimit", lambda _: (soft, soft))  # type: ignore[attr-defined]
    assert listener.cap() == most
