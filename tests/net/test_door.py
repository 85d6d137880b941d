"""Listening socket with a cap. test_http_server.py has it under a running server."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from bridge.net.door import MOST, Door, Guest, address_of, cap, listen

Connect = Callable[[], socket.socket]


class Client:
    """Server side of a connection. awaited: what its client must do next."""

    def __init__(self, guest: Guest, awaited: str) -> None:
        self.guest, self.awaited, self.aborted = guest, awaited, False
        guest.client = self

    def waits_for(self) -> tuple[str, object]:
        return self.awaited, None

    def abort(self) -> None:
        self.aborted = True
        self.guest.close()


@pytest.fixture
def door() -> Iterator[Door]:
    with listen("127.0.0.1", 0) as made:
        made.settimeout(60)
        yield made


@pytest.fixture
def connect(door: Door) -> Iterator[Connect]:
    """Open connections that are closed after the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(door.getsockname()))


def admitted(door: Door, connect: Connect) -> tuple[socket.socket, Guest]:
    client = connect()
    guest = door.accept()[0]
    assert isinstance(guest, Guest)
    return client, guest


def test_a_connection_is_known_until_it_is_closed(door: Door, connect: Connect) -> None:
    _, guest = admitted(door, connect)
    descriptor = guest.fileno()
    assert door.guest(descriptor) is guest
    guest.close()
    assert door.guest(descriptor) is None


def test_at_the_cap_the_longest_waiting_client_is_closed(door: Door, connect: Connect) -> None:
    """One whose request is being answered never is."""
    door.most = 2
    _, busy = admitted(door, connect)
    answering = Client(busy, "")
    idle, waiting = admitted(door, connect)
    late = Client(waiting, "head")
    _, third = admitted(door, connect)
    assert (answering.aborted, late.aborted, third.fileno() >= 0) == (False, True, True)
    idle.settimeout(60)
    assert idle.recv(1) == b""
    third.close()
    busy.close()


def test_when_all_are_busy_a_new_connection_is_refused(door: Door, connect: Connect) -> None:
    door.most = 1
    _, guest = admitted(door, connect)
    Client(guest, "")
    refused = connect()
    with pytest.raises(ConnectionAbortedError):
        door.accept()
    refused.settimeout(60)
    assert refused.recv(1) == b""
    guest.close()


def test_slow_clients_are_closed(door: Door, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of a request has its own time, which begins when the step does."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    _, guest = admitted(door, connect)
    client = Client(guest, "head")
    now[0] += 9.0
    door.cut_late()
    client.awaited = "body"
    door.cut_late()
    now[0] += 19.0
    door.cut_late()
    assert not client.aborted
    now[0] += 2.0
    door.cut_late()
    assert client.aborted


def test_a_handshake_is_cut_like_a_head(door: Door, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is complete, the connection has no client."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    peer, guest = admitted(door, connect)
    now[0] += 11.0
    door.cut_late()
    peer.settimeout(60)
    assert peer.recv(1) == b""
    guest.close()


def test_every_connection_can_be_closed(door: Door, connect: Connect) -> None:
    clients = [Client(admitted(door, connect)[1], "") for _ in range(3)]
    door.cut_all()
    assert [client.aborted for client in clients] == [True] * 3


@pytest.mark.parametrize(
    ("soft", "most"), [(resource.RLIM_INFINITY, MOST), (1_000_000, MOST), (100, 50), (6, 4), (0, 4)]
)
def test_half_of_the_descriptors_are_for_connections(monkeypatch: pytest.MonkeyPatch, soft: int, most: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert cap() == most


def test_an_address_is_host_and_port(door: Door) -> None:
    """IPv6 in brackets; the empty host is every address."""
    port = door.getsockname()[1]
    assert address_of(door) == f"127.0.0.1:{port}"
    with listen("", 0) as everywhere:
        assert address_of(everywhere).rpartition(":")[0] in {"[::]", "0.0.0.0"}
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", port)
