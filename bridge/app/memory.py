"""Memory settings for many short-lived objects in each evaluation beside many long-lived ones."""

from __future__ import annotations

import ctypes
import gc

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h of glibc
KEPT = 64 * 1024 * 1024


def keep_large_buffers() -> bool:
    """Keep large freed buffers in the process, for all threads. Return False where the C library has no mallopt.

    An answer of 10,000 series is a buffer of 2 MB. Allocated from the system each time, each of its pages faults in
    every evaluation: measured, a quarter of the time of a query. By default each thread keeps buffers of its own, and
    the evaluations take turns on several threads; as only one of them runs Python at a time, they do not compete.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {_MMAP_THRESHOLD: KEPT // 2, _TRIM_THRESHOLD: KEPT, _ARENA_MAX: 1}
    return all(mallopt(name, value) for name, value in settings.items())


def collect_rarely() -> None:
    """Collect cycles after many more allocations than by default.

    A resend of 10,000 alerts allocates that many objects without a cycle: measured, the collector took a third of its
    time. So do imports and the state of many models at the start.
    """
    gc.set_threshold(50_000, 20, 50)


def exclude_start() -> None:
    """Exclude the objects of the start from collections: they stay.

    They are not collected first, which would take as long as a tenth of the start: imports and configuration leave few
    cycles. What an earlier start of the process has left is collected, such as the state of a fleet's former owner.
    """
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
    gc.freeze()
