"""A TCP proxy before a real PostgreSQL that cuts connections at COMMIT: before the server has it, after, or at once."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

PASS = "pass"
BEFORE = "before"  # the server never gets the COMMIT
AFTER = "after"  # the server has committed and answered; the client never hears of it
RACING = "racing"  # the server has got the COMMIT, and may still be at it when the client is cut off
COMMIT = b"COMMIT\x00"


class CuttingProxy:
    """Listens on `port`; `fate` is asked at every COMMIT of a client, and says what becomes of it."""

    def __init__(self, server_port: int, fate: Callable[[], str]) -> None:
        self._server_port = server_port
        self.fate = fate
        self.cuts = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_all(self) -> None:
        """Reset every connection that is open now."""
        with self._lock:
            found = list(self._open)
        for connection in found:
            _reset(connection)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            _Pair(self, client, server).start()

    def forget(self, *connections: socket.socket) -> None:
        with self._lock:
            self._open -= set(connections)


class _Pair:
    """One client and its connection to the server."""

    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._deaf = False  # what the server says now is the answer to the COMMIT, and is not passed on

    def start(self) -> None:
        for pump in (self._to_server, self._to_client):
            threading.Thread(target=pump, daemon=True).start()

    def _to_server(self) -> None:
        answered = False
        with contextlib.suppress(OSError):
            while data := self._client.recv(65536):
                fate = self._proxy.fate() if COMMIT in data else PASS
                self._proxy.cuts += fate != PASS
                if fate == BEFORE:
                    break
                self._deaf, answered = fate in {AFTER, RACING}, fate == AFTER
                self._server.sendall(data)
                if fate == RACING:
                    _reset(self._client)  # the server reads what it has got, and learns of the end afterwards
        self._end(None if answered else self._server)

    def _to_client(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._server.recv(65536):
                if self._deaf:
                    break
                self._client.sendall(data)
        self._end(self._server)

    def _end(self, server: socket.socket | None) -> None:
        """Cut the client off, and let go of the server when its word is not waited for."""
        _reset(self._client)
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
            self._proxy.forget(self._client, server)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextlib.contextmanager
def cutting_proxy(server_port: int, fate: Callable[[], str] = lambda: PASS) -> Iterator[CuttingProxy]:
    """Before the PostgreSQL on `server_port`."""
    proxy = CuttingProxy(server_port, fate)
    try:
        yield proxy
    finally:
        proxy.close()
