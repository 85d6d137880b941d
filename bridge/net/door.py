"""A listening socket that keeps its clients below a cap, and cuts those that keep it waiting."""

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
MOST = 512  # connections at a time; fewer where the process may open few files
# Seconds that a client may keep the server waiting. "head" includes the TLS handshake and idle time between requests;
# the applications refuse a slow body themselves, earlier and with an answer.
LIMITS = {"head": 10.0, "body": 20.0, "answer": 60.0}
_SHARE_CUT = 32  # at the cap, one in so many gives way at once: each search for them looks at all connections
_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 0.05


class Client(Protocol):
    """The server's side of one connection."""

    def waits_for(self) -> tuple[str, object]:
        """Return what the client has to do next, a key of LIMITS ("" = nothing), and the request that this is about."""

    def abort(self) -> None:
        """Close the connection at once."""


class Guest(socket.socket):
    """An accepted connection. `client` is None until its TLS handshake is over."""

    client: Client | None = None
    left: Callable[[Guest], None]
    since = 0.0
    awaited: tuple[str, object] = ("head", None)

    def look(self, now: float) -> str:
        """Return what the client has to do next; `since` is then how long it has had to do it."""
        found = ("head", None) if self.client is None else self.client.waits_for()
        if found != self.awaited:
            self.awaited, self.since = found, now
        return found[0]

    def cut(self) -> None:
        """Close the connection, whatever its client does."""
        if self.client is not None:
            self.client.abort()
        elif self.fileno() >= 0:
            try:
                self.shutdown(socket.SHUT_RDWR)  # the handshake reads the end, and closes the socket
            except OSError:  # the client has gone
                log.debug("a connection ended by itself")

    def close(self) -> None:
        """Leave the door's list, too."""
        self.left(self)
        super().close()


class Door(socket.socket):
    """A listening socket for asyncio, whose accept() never takes more than `most` connections at a time.

    At the cap, those clients give way that have kept the server waiting longest: idle connections, unfinished requests
    and handshakes, unread answers. A connection whose request is being worked on is never cut for another one.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.most = cap()
        self._guests: dict[int, Guest] = {}
        self._cut: set[Guest] = set()  # the loop has not closed them yet

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection. BlockingIOError while there is none, or what was cut is still open."""
        if len(self._cut) > self.most // 4:
            raise BlockingIOError
        try:
            accepted, address = super().accept()
        except OSError as error:
            if error.errno not in _NO_RESOURCES:
                raise
            log.warning("no descriptors left for a connection", extra={"error": error.strerror})
            if not self._make_room():
                time.sleep(_PAUSE)  # others hold them: without a pause the loop would ask without end
            raise BlockingIOError from None
        if len(self._guests) >= self.most and not self._make_room():
            accepted.close()
            log.warning("too many connections: all are being answered, a new one is refused", extra={"cap": self.most})
            raise ConnectionAbortedError
        return self._admit(accepted), address

    def guest(self, descriptor: int) -> Guest | None:
        """Return the accepted connection with this descriptor."""
        return self._guests.get(descriptor)

    def cut_late(self) -> None:
        """Cut every client that has kept the server waiting longer than LIMITS."""
        now = time.monotonic()
        for guest in list(self._guests.values()):
            awaited = guest.look(now)
            if awaited and now - guest.since > LIMITS[awaited]:
                self._end(guest)

    def cut_all(self) -> None:
        """Cut every client."""
        for guest in list(self._guests.values()):
            self._end(guest)

    def _admit(self, accepted: socket.socket) -> Guest:
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        guest = Guest(family, kind, protocol, fileno=accepted.detach())
        guest.since, guest.left = time.monotonic(), self._forget
        self._guests[guest.fileno()] = guest
        return guest

    def _end(self, guest: Guest) -> None:
        del self._guests[guest.fileno()]
        self._cut.add(guest)
        guest.cut()

    def _forget(self, guest: Guest) -> None:
        self._cut.discard(guest)
        if self._guests.get(guest.fileno()) is guest:
            del self._guests[guest.fileno()]

    def _make_room(self) -> int:
        """Cut those who have kept us waiting longest; return how many."""
        now = time.monotonic()
        waiting = [guest for guest in self._guests.values() if guest.look(now)]
        waiting.sort(key=lambda guest: guest.since)
        late = waiting[: max(1, self.most // _SHARE_CUT)]
        for guest in late:
            self._end(guest)
        if late:
            log.warning("too many connections: those that wait longest give way", extra={"cap": self.most})
        return len(late)


def cap() -> int:
    """Return how many connections there may be: half of the descriptors at most, the rest is for the bridge's work."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(4, min(MOST, soft // 2))


def listen(host: str, port: int) -> Door:
    """Return a door on that address, "" = every address. OSError."""
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if ":" in host or both else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    # asyncio does not do that for a listening socket that it did not make; connections take it over.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Door(made.family, made.type, made.proto, fileno=made.detach())
