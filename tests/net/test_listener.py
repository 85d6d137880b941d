"""Listening socket with a cap. test_http_server.py has it under a running server."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from bridge.net.listener import MOST, AcceptedConnection, BoundedListener, address_of, cap, listen

Connect = Callable[[], socket.socket]


class Client:
    """Server side of a connection. awaited: what its client must do next."""

    def __init__(self, connection: AcceptedConnection, awaited: str) -> None:
        self.connection, self.awaited, self.aborted = connection, awaited, False
        connection.client = self

    def waits_for(self) -> tuple[str, object]:
        return self.awaited, None

    def abort(self) -> None:
        self.aborted = True
        self.connection.close()


@pytest.fixture
def listener() -> Iterator[BoundedListener]:
    with listen("127.0.0.1", 0) as made:
        made.settimeout(60)
        yield made


@pytest.fixture
def connect(listener: BoundedListener) -> Iterator[Connect]:
    """Open connections that are closed after the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(listener.getsockname()))


def admitted(listener: BoundedListener, connect: Connect) -> tuple[socket.socket, AcceptedConnection]:
    client = connect()
    connection = listener.accept()[0]
    assert isinstance(connection, AcceptedConnection)
    return client, connection


def test_a_connection_is_known_until_it_is_closed(listener: BoundedListener, connect: Connect) -> None:
    _, connection = admitted(listener, connect)
    descriptor = connection.fileno()
    assert listener.connection(descriptor) is connection
    connection.close()
    assert listener.connection(descriptor) is None


def test_at_the_cap_the_longest_waiting_client_is_closed(listener: BoundedListener, connect: Connect) -> None:
    """One whose request is being answered never is."""
    listener.most = 2
    _, busy = admitted(listener, connect)
    answering = Client(busy, "")
    idle, waiting = admitted(listener, connect)
    late = Client(waiting, "head")
    _, third = admitted(listener, connect)
    assert (answering.aborted, late.aborted, third.fileno() >= 0) == (False, True, True)
    idle.settimeout(60)
    assert idle.recv(1) == b""
    third.close()
    busy.close()


def test_when_all_are_busy_a_new_connection_is_refused(listener: BoundedListener, connect: Connect) -> None:
    listener.most = 1
    _, connection = admitted(listener, connect)
    Client(connection, "")
    refused = connect()
    with pytest.raises(ConnectionAbortedError):
        listener.accept()
    refused.settimeout(60)
    assert refused.recv(1) == b""
    connection.close()


def test_slow_clients_are_closed(listener: BoundedListener, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of a request has its own time, which begins when the step does."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    _, connection = admitted(listener, connect)
    client = Client(connection, "head")
    now[0] += 9.0
    listener.cut_late()
    client.awaited = "body"
    listener.cut_late()
    now[0] += 19.0
    listener.cut_late()
    assert not client.aborted
    now[0] += 2.0
    listener.cut_late()
    assert client.aborted


def test_a_handshake_is_cut_like_a_head(
    listener: BoundedListener, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is complete, the connection has no client."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    peer, connection = admitted(listener, connect)
    now[0] += 11.0
    listener.cut_late()
    peer.settimeout(60)
    assert peer.recv(1) == b""
    connection.close()


def test_every_connection_can_be_closed(listener: BoundedListener, connect: Connect) -> None:
    clients = [Client(admitted(listener, connect)[1], "") for _ in range(3)]
    listener.cut_all()
    assert [client.aborted for client in clients] == [True] * 3


@pytest.mark.parametrize(
    ("soft", "most"), [(resource.RLIM_INFINITY, MOST), (1_000_000, MOST), (100, 50), (6, 4), (0, 4)]
)
def test_half_of_the_descriptors_are_for_connections(monkeypatch: pytest.MonkeyPatch, soft: int, most: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert cap() == most


def test_an_address_is_host_and_port(listener: BoundedListener) -> None:
    """IPv6 in brackets; the empty host is every address."""
    port = listener.getsockname()[1]
    assert address_of(listener) == f"127.0.0.1:{port}"
    with listen("", 0) as everywhere:
        assert address_of(everywhere).rpartition(":")[0] in {"[::]", "0.0.0.0"}
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", port)
