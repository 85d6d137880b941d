"""How memory is kept and collected: for many short-lived objects per tick beside many long-lived ones."""

from __future__ import annotations

import ctypes
import gc

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
KEPT = 64 * 1024 * 1024


def keep_large_buffers() -> bool:
    """Ask for it; False where there is no mallopt (other C libraries), and then nothing changes.

    An answer of 10,000 series is a buffer of 2 MB; taken from the system anew, every page of it faults at every tick:
    measured, a quarter of the time of a query.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, KEPT // 2)) and bool(mallopt(_TRIM_THRESHOLD, KEPT))


def collect_rarely() -> None:
    """Collect cycles after many more allocations than Python would, and never look at what the start has made.

    A re-post of 10,000 alerts allocates that many objects without a cycle: measured, the collector was a third of its
    time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
