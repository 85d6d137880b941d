"""Clients that mean harm: they keep many connections to one server busy, and open each again that is closed."""

from __future__ import annotations

import contextlib
import resource
import selectors
import socket
import threading
from collections.abc import Iterator, Sequence

UNFINISHED_HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
UNFINISHED_BODY = b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc"
NO_HANDSHAKE = b"\x16\x03\x01"
DESCRIPTORS = 1024  # what most systems give a process
LIMITED = ("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}")  # before a command


class Attack:
    """`connections` to a port of this machine; each sends the next of `openings` and then nothing more."""

    def __init__(self, port: int, openings: Sequence[bytes], connections: int) -> None:
        self.opened = 0
        self._port, self._openings, self._connections = port, openings, connections
        self._over = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _run(self) -> None:
        while not self._over.is_set():
            while len(self._selector.get_map()) < self._connections and not self._over.is_set():
                if not self._open():
                    break
            for key, _ in self._selector.select(0.05):
                self._drop_if_closed(key.fileobj)  # type: ignore[arg-type]

    def _open(self) -> bool:
        try:
            client = socket.create_connection(("127.0.0.1", self._port), timeout=1)
            self._selector.register(client, selectors.EVENT_READ)
            self.opened += 1
            client.sendall(self._openings[self.opened % len(self._openings)])
        except OSError:  # a full backlog, or closed again already
            return False
        return True

    def _drop_if_closed(self, client: socket.socket) -> None:
        try:
            ended = not client.recv(65_536)
        except OSError:
            ended = True
        if ended:
            self._selector.unregister(client)
            client.close()


@contextlib.contextmanager
def attacked(port: int, openings: Sequence[bytes] = (UNFINISHED_HEAD,), connections: int = 1200) -> Iterator[Attack]:
    """An attack for as long as the block lasts. The test's own descriptors are raised for it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(before[1], connections + 1024)), before[1]))
    attack = Attack(port, openings, connections)
    attack.start()
    try:
        yield attack
    finally:
        attack.stop()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
