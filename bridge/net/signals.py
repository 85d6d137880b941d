"""Waiting for signals in the main thread."""

from __future__ import annotations

import threading
import time

LONGEST = 1.0


def wait_for_signal(event: threading.Event, limit: float = float("inf")) -> bool:
    """Return whether a signal handler set `event` within `limit` seconds.

    Waits in steps of at most LONGEST seconds. A single long wait can miss a signal: when it arrives while the thread
    gives up the interpreter lock, on its way to sleep, its Python handler runs only after the next wake-up.
    """
    ends = time.monotonic() + limit
    while not event.wait(min(LONGEST, max(0.0, ends - time.monotonic()))):
        if time.monotonic() >= ends:
            return False
    return True
