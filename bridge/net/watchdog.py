"""Cuts a connection when its time is up: the total deadline that socket timeouts, which are per read, cannot give."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


class HasSocket(Protocol):
    """A connection; `sock` is None before it is open."""

    sock: socket.socket | None


@dataclass
class Watch:
    """One attempt: the connection that it uses now, and whether its time ran out."""

    ends: float
    connection: HasSocket | None = None
    sock: socket.socket | None = None
    expired: bool = False
    over: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def use(self, connection: HasSocket) -> None:
        """The attempt goes on over `connection`."""
        with self.lock:
            self.connection = connection
            # Remembered: when the server will close after its answer, http.client forgets it before the body is read.
            self.sock = connection.sock
            if self.expired:
                self._cut()

    def cut(self) -> None:
        """Time is up: whatever the attempt waits for ends now."""
        with self.lock:
            if not self.over:
                self.expired = True
                self._cut()

    def _cut(self) -> None:
        sock = (self.connection.sock if self.connection is not None else None) or self.sock
        if sock is not None:
            # Not close(): the number could be another socket's before the waiting thread looks.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """One thread for all attempts of the process; started with the first, asleep without one."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Watch]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def watching(self, seconds: float) -> Iterator[Watch]:
        """An attempt that may take `seconds` in all."""
        watch = Watch(time.monotonic() + seconds)
        with self._changed:
            heapq.heappush(self._due, (watch.ends, next(self._numbers), watch))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadline watchdog", daemon=True)
                self._thread.start()
            elif self._due[0][2] is watch:
                self._changed.notify()
        try:
            yield watch
        finally:
            with watch.lock:
                watch.over = True
                watch.connection = watch.sock = None

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._due and (self._due[0][2].over or self._due[0][0] <= time.monotonic()):
                    watch = heapq.heappop(self._due)[2]
                    watch.cut()
                self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)


WATCHDOG = Watchdog()
