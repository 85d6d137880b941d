"""Return of freed memory to the operating system: glibc would keep what Python has freed."""

from __future__ import annotations

import ctypes

LARGE = 16 << 20  # bytes of an answer above which trimming is worth its milliseconds
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only


def give_back(size: int) -> None:
    """Return freed memory to the operating system if `size` bytes is large."""
    if size >= LARGE and _trim is not None:
        _trim(0)
