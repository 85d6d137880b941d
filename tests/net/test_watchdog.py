"""Total deadline of an attempt: its socket is shut down, whatever it waits for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from bridge.net.watchdog import Watch, Watchdog


class Connection:
    """Connection with a socket."""

    def __init__(self, sock: socket.socket | None) -> None:
        self.sock = sock


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    one.settimeout(60)
    with one, other:
        yield one, other


def test_an_attempt_that_takes_too_long_reads_an_end(pair: tuple[socket.socket, socket.socket]) -> None:
    """Although its peer sends nothing and closes nothing."""
    with Watchdog().watching(0.05) as watch:
        watch.use(Connection(pair[0]))
        assert pair[0].recv(1) == b""
        assert watch.expired


def test_an_attempt_in_time_is_left_alone(pair: tuple[socket.socket, socket.socket]) -> None:
    """Also when its deadline passes afterwards: the connection may serve another attempt."""
    watchdog = Watchdog()
    with watchdog.watching(60) as watch:
        watch.use(Connection(pair[0]))
    watch.cut()
    assert not watch.expired
    pair[1].sendall(b"x")
    assert pair[0].recv(1) == b"x"


def test_deadlines_are_independent(pair: tuple[socket.socket, socket.socket]) -> None:
    """A later attempt with an earlier deadline ends first."""
    watchdog = Watchdog()
    with watchdog.watching(60) as long, watchdog.watching(0.05) as short:
        short.use(Connection(pair[0]))
        assert pair[0].recv(1) == b""
        assert (short.expired, long.expired) == (True, False)


def test_a_connection_that_opens_too_late_is_cut_at_once(pair: tuple[socket.socket, socket.socket]) -> None:
    """The deadline passed while its name was looked up."""
    watch = Watch(0.0)
    watch.cut()
    watch.use(Connection(pair[0]))
    assert pair[0].recv(1) == b""


def test_a_socket_that_its_connection_has_dropped_is_cut_too(pair: tuple[socket.socket, socket.socket]) -> None:
    """http.client drops it before the body is read, if the server announces the end of the connection."""
    watch, connection = Watch(0.0), Connection(pair[0])
    watch.use(connection)
    connection.sock = None
    watch.cut()
    assert pair[0].recv(1) == b""


def test_a_closed_socket_is_no_error(pair: tuple[socket.socket, socket.socket]) -> None:
    watch = Watch(0.0)
    watch.use(Connection(pair[0]))
    pair[0].close()
    watch.cut()
    assert watch.expired


def test_one_thread_serves_all_attempts() -> None:
    """It starts with the first one."""
    before = {thread.ident for thread in threading.enumerate()}
    watchdog = Watchdog()
    for _ in range(5):
        with watchdog.watching(60):
            pass
    started = [thread for thread in threading.enumerate() if thread.ident not in before]
    assert len([thread for thread in started if thread.name == "deadline watchdog"]) == 1


def test_a_process_that_ends_waits_for_no_attempt(pair: tuple[socket.socket, socket.socket]) -> None:
    """Those under way read an end, and no other begins."""
    watchdog = Watchdog()
    with watchdog.watching(3600) as watch:
        watch.use(Connection(pair[0]))
        watchdog.require_life()
        watchdog.interrupt()
        assert pair[0].recv(1) == b""
        with pytest.raises(KeyboardInterrupt):
            watchdog.require_life()
    with pytest.raises(KeyboardInterrupt), watchdog.watching(60):
        pass
