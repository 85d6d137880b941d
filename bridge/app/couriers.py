"""Runs the workers of all destinations, one thread each: a slow destination holds up no other, nor the evaluation."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from bridge.domain.times import SECOND, Duration, Timestamp

log = logging.getLogger(__name__)

LONGEST_WAIT: Duration = 30 * SECOND  # a clock that was set, or a wake-up that was missed, costs no more than this
AFTER_ERROR: Duration = 5 * SECOND


class Worker(Protocol):
    """A Courier or a Resender."""

    def step(self, now: Callable[[], Timestamp]) -> Timestamp | None: ...


class Couriers:
    """Threads by name, for example the destination. After stop() a new object is needed."""

    def __init__(self, workers: Mapping[str, Worker], now: Callable[[], Timestamp]) -> None:
        self._now = now
        self._stopping = threading.Event()
        self._loops = {name: _Loop(name, worker, now, self._stopping) for name, worker in workers.items()}

    def start(self) -> None:
        for loop in self._loops.values():
            loop.start()

    def wake(self) -> None:
        """Something was committed: look into the queues now."""
        for loop in self._loops.values():
            loop.wake()

    def stop(self, timeout: float) -> bool:
        """Begin nothing new, wait at most `timeout` seconds for what runs; whether all ended.

        What is abandoned is repeated when its lease ends, under the same id.
        """
        self._stopping.set()
        self.wake()
        deadline = time.monotonic() + timeout
        ended = [loop.finish(deadline - time.monotonic()) for loop in self._loops.values()]
        return all(ended)


class _Loop:
    """One worker's thread; a daemon, so that an attempt that hangs cannot keep the process alive."""

    def __init__(self, name: str, worker: Worker, now: Callable[[], Timestamp], stopping: threading.Event) -> None:
        self._name = name
        self._worker = worker
        self._now = now
        self._stopping = stopping
        self._woken = threading.Event()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name=f"courier {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def finish(self, timeout: float) -> bool:
        if self._thread.ident is not None:
            self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            # Cleared before the look, not after: a commit during the look must not be slept over.
            self._woken.clear()
            self._wait(self._step())

    def _step(self) -> Timestamp | None:
        try:
            following = self._worker.step(self._now)
        except Exception as error:  # noqa: BLE001 - a full disk or a defect must not end the thread
            if not self._stopping.is_set():
                self._complain(error)
            return self._now() + AFTER_ERROR
        self._trouble = ""
        return following

    def _complain(self, error: Exception) -> None:
        """Once per new fact: a full disk is met at every step."""
        trouble = f"{type(error).__name__}: {error}"
        if trouble != self._trouble:
            log.error("delivery stopped, will go on", extra={"destination": self._name}, exc_info=error)
        self._trouble = trouble

    def _wait(self, until: Timestamp | None) -> None:
        wait = LONGEST_WAIT if until is None else min(until - self._now(), LONGEST_WAIT)
        if wait > 0 and not self._stopping.is_set():
            self._woken.wait(wait / 1000)
