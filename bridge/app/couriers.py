"""Threads of the delivery workers, one each: a slow destination delays neither another one nor the evaluation."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from bridge.domain.errors import StoreError
from bridge.domain.times import SECOND, Duration, Timestamp

log = logging.getLogger(__name__)

LONGEST_WAIT: Duration = 30 * SECOND  # bounds the delay after a clock step or a missed wake-up
AFTER_ERROR: Duration = 5 * SECOND


class Worker(Protocol):
    """Courier or Resender."""

    def step(self, now: Callable[[], Timestamp]) -> Timestamp | None:
        """Do the work that is due and return the instant of the next work, None if nothing waits."""
        ...

    def finish(self, now: Callable[[], Timestamp]) -> None:
        """End the work in progress, and begin none."""
        ...


class Couriers:
    """Worker threads by name. Not restartable: create a new object after stop()."""

    def __init__(self, workers: Mapping[str, Worker], now: Callable[[], Timestamp]) -> None:
        self._now = now
        self._stopping = threading.Event()
        self._loops = {name: _Loop(name, worker, now, self._stopping) for name, worker in workers.items()}

    def start(self) -> None:
        """Start all threads."""
        for loop in self._loops.values():
            loop.start()

    def wake(self) -> None:
        """Wake all workers, because something was committed."""
        for loop in self._loops.values():
            loop.wake()

    def stop(self, timeout: float) -> bool:
        """Begin no new attempt, wait at most `timeout` seconds, and return True if all threads have ended.

        An abandoned attempt is repeated when its lease ends, under the same id.
        """
        self._stopping.set()
        self.wake()
        deadline = time.monotonic() + timeout
        ended = [loop.finish(deadline - time.monotonic()) for loop in self._loops.values()]
        return all(ended)


class _Loop:
    """Thread of one worker; a daemon, so that an attempt that hangs cannot keep the process alive."""

    def __init__(self, name: str, worker: Worker, now: Callable[[], Timestamp], stopping: threading.Event) -> None:
        self._name = name
        self._worker = worker
        self._now = now
        self._stopping = stopping
        self._woken = threading.Event()
        self._error = ""
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
            # Clear before the step, not after it: a commit during the step must not be missed.
            self._woken.clear()
            self._wait(self._step())
        with contextlib.suppress(StoreError):  # what was not stored is repeated when its lease ends
            self._worker.finish(self._now)

    def _step(self) -> Timestamp | None:
        try:
            following = self._worker.step(self._now)
        except Exception as error:  # noqa: BLE001 - a full disk or a defect must not end the thread
            if not self._stopping.is_set():
                self._log_error(error)
            return self._now() + AFTER_ERROR
        self._error = ""
        return following

    def _log_error(self, error: Exception) -> None:
        """Log an error once until it changes: a full disk fails every step."""
        text = f"{type(error).__name__}: {error}"
        if text != self._error:
            fields = {"destination": self._name, "error": str(error)}
            trace = None if isinstance(error, StoreError) else error  # it is expected, and may fail each courier
            log.error("delivery failed, will continue", extra=fields, exc_info=trace)
        self._error = text

    def _wait(self, until: Timestamp | None) -> None:
        wait = LONGEST_WAIT if until is None else min(until - self._now(), LONGEST_WAIT)
        if wait > 0 and not self._stopping.is_set():
            self._woken.wait(wait / 1000)
