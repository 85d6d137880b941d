"""Listening socket that caps the number of connections and closes slow ones."""

from __future__ import annotations

import errno
import logging
import resource
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

log = logging.getLogger(__name__)

BACKLOG = 128
MOST = 512  # concurrent connections; fewer where the limit of open files is low
# Seconds that a client may keep the server waiting. "head" includes the TLS handshake and idle time between requests;
# the applications reject a slow body themselves, earlier and with a response.
LIMITS = {"head": 10.0, "body": 20.0, "answer": 60.0}
_SHARE_CUT = 32  # at the cap, 1/32 of the connections are closed at once, as each search scans all of them
_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 0.05


class Client(Protocol):
    """Server side of one connection."""

    def waits_for(self) -> tuple[str, object]:
        """Return what the client must do next, a key of LIMITS ("" = nothing), and the request concerned."""

    def abort(self) -> None:
        """Close the connection at once."""


class AcceptedConnection(socket.socket):
    """Accepted connection.

    client: None until the TLS handshake is complete. on_close: called when the socket closes. awaited: what the client
    must do next. since: monotonic instant from which it has been awaited.
    """

    client: Client | None = None
    on_close: Callable[[AcceptedConnection], None]
    since = 0.0
    awaited: tuple[str, object] = ("head", None)

    def refresh(self, now: float) -> str:
        """Update `awaited` and `since`; return what the client must do next."""
        current = ("head", None) if self.client is None else self.client.waits_for()
        if current != self.awaited:
            self.awaited, self.since = current, now
        return current[0]

    def cut(self) -> None:
        """Close the connection, whatever its client does."""
        if self.client is not None:
            self.client.abort()
        elif self.fileno() >= 0:
            try:
                self.shutdown(socket.SHUT_RDWR)  # the handshake then reads EOF and closes the socket
            except OSError:  # the client is gone
                log.debug("a client closed its connection")

    def close(self) -> None:
        """Close the socket and report it to the listener."""
        self.on_close(self)
        super().close()


class BoundedListener(socket.socket):
    """Listening socket for asyncio, whose accept() never admits more than `most` connections at a time.

    At the cap, the clients that have kept the server waiting longest are closed: idle connections, unfinished requests
    and handshakes, unread responses. A connection whose request is being processed is never closed for another one.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.most = cap()
        self._connections: dict[int, AcceptedConnection] = {}
        self._cut: set[AcceptedConnection] = set()  # the loop has not closed them yet

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection. Raises BlockingIOError while there is none, or closed ones are still open."""
        if len(self._cut) > self.most // 4:
            raise BlockingIOError
        try:
            accepted, address = super().accept()
        except OSError as error:
            if error.errno not in _NO_RESOURCES:
                raise
            log.warning("no file descriptor left for a connection", extra={"error": error.strerror})
            if not self._make_room():
                time.sleep(_PAUSE)  # none can be freed here: without a pause the loop would spin
            raise BlockingIOError from None
        if len(self._connections) >= self.most and not self._make_room():
            accepted.close()
            log.warning("too many connections, all of them busy: a new one is refused", extra={"cap": self.most})
            raise ConnectionAbortedError
        return self._admit(accepted), address

    def connection(self, descriptor: int) -> AcceptedConnection | None:
        """Return the accepted connection with this file descriptor."""
        return self._connections.get(descriptor)

    def cut_late(self) -> None:
        """Close every connection whose client has kept the server waiting longer than LIMITS."""
        now = time.monotonic()
        for connection in list(self._connections.values()):
            awaited = connection.refresh(now)
            if awaited and now - connection.since > LIMITS[awaited]:
                self._end(connection)

    def cut_all(self) -> None:
        """Close every connection."""
        for connection in list(self._connections.values()):
            self._end(connection)

    def _admit(self, accepted: socket.socket) -> AcceptedConnection:
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        connection = AcceptedConnection(family, kind, protocol, fileno=accepted.detach())
        connection.since, connection.on_close = time.monotonic(), self._forget
        self._connections[connection.fileno()] = connection
        return connection

    def _end(self, connection: AcceptedConnection) -> None:
        del self._connections[connection.fileno()]
        self._cut.add(connection)
        connection.cut()

    def _forget(self, connection: AcceptedConnection) -> None:
        self._cut.discard(connection)
        if self._connections.get(connection.fileno()) is connection:
            del self._connections[connection.fileno()]

    def _make_room(self) -> int:
        """Close the connections that have kept the server waiting longest; return how many."""
        now = time.monotonic()
        waiting = [connection for connection in self._connections.values() if connection.refresh(now)]
        waiting.sort(key=lambda connection: connection.since)
        late = waiting[: max(1, self.most // _SHARE_CUT)]
        for connection in late:
            self._end(connection)
        if late:
            log.warning("too many connections: the longest waiting are closed", extra={"cap": self.most})
        return len(late)


def cap() -> int:
    """Return the connection limit: at most half of the file descriptors, the rest is for the bridge's own work."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(4, min(MOST, soft // 2))


def listen(host: str, port: int) -> BoundedListener:
    """Return a listener listening on that address, "" = every address. Raises OSError."""
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if ":" in host or both else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    # asyncio does not set it on a listening socket that it did not create; accepted connections inherit it.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return BoundedListener(made.family, made.type, made.proto, fileno=made.detach())


def address_of(listening: socket.socket) -> str:
    """Return the address that a socket listens on, HOST:PORT."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
