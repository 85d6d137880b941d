"""Gives memory back to the system after something large: the C library would keep what Python has freed."""

from __future__ import annotations

import ctypes

LARGE = 16 << 20  # bytes of an answer from which it is worth its milliseconds
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries than glibc have none


def give_back(size: int) -> None:
    """Return freed memory to the system, when `size` bytes were large."""
    if size >= LARGE and _trim is not None:
        _trim(0)
