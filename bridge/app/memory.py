"""Memory settings for many short-lived objects in each evaluation beside many long-lived ones."""

from __future__ import annotations

import ctypes
import gc

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
KEPT = 64 * 1024 * 1024


def keep_large_buffers() -> bool:
    """Keep large freed buffers in the process. Return False where the C library has no mallopt.

    An answer of 10,000 series is a buffer of 2 MB. Allocated from the system each time, each of its pages faults in
    every evaluation: measured, a quarter of the time of a query.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, KEPT // 2)) and bool(mallopt(_TRIM_THRESHOLD, KEPT))


def collect_rarely() -> None:
    """Collect cycles after many more allocations than by default, and exclude the objects of the start.

    A resend of 10,000 alerts allocates that many objects without a cycle: measured, the collector took a third of its
    time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
