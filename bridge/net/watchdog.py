"""Total deadline for an HTTP attempt, which socket timeouts cannot provide because they apply to each read."""

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
    """Connection. sock: None before it is open."""

    sock: socket.socket | None


@dataclass
class Watch:
    """One attempt with a deadline.

    ends: monotonic seconds. connection, sock: in use now. expired: the deadline passed. over: the attempt has ended.
    """

    ends: float
    connection: HasSocket | None = None
    sock: socket.socket | None = None
    expired: bool = False
    over: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def use(self, connection: HasSocket) -> None:
        """Register the connection that the attempt uses from now on."""
        with self.lock:
            self.connection = connection
            # Kept here: if the server announces a close, http.client drops its own before the body is read.
            self.sock = connection.sock
            if self.expired:
                self._cut()

    def cut(self) -> None:
        """Expire the attempt and shut down its socket, which ends whatever it waits for."""
        with self.lock:
            if not self.over:
                self.expired = True
                self._cut()

    def _cut(self) -> None:
        sock = (self.connection.sock if self.connection is not None else None) or self.sock
        if sock is not None:
            # Not close(): the descriptor could be reused before the waiting thread notices.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """Thread that enforces the deadlines of all attempts; started with the first, idle without any.

    interrupted: set once the process ends; attempts then raise KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.interrupted = threading.Event()
        self._due: list[tuple[float, int, Watch]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def interrupt(self) -> None:
        """Cut all attempts, and let no other begin. Waits for locks: not for a signal handler itself."""
        with self._changed:
            self.interrupted.set()
            for _, _, watch in self._due:
                watch.cut()

    def require_life(self) -> None:
        """Raise KeyboardInterrupt if the process ends."""
        if self.interrupted.is_set():
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def watching(self, seconds: float) -> Iterator[Watch]:
        """Watch an attempt that may take `seconds` in total. Raises KeyboardInterrupt if the process ends."""
        watch = Watch(time.monotonic() + seconds)
        with self._changed:
            self.require_life()
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
