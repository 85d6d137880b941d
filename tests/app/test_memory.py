"""Large buffers are kept."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import weakref

import pytest

from bridge.app.memory import collect_rarely, exclude_start, keep_large_buffers


def test_glibc_takes_the_settings() -> None:
    """Both thresholds are accepted."""
    assert keep_large_buffers() is True


THREADS = """
import ctypes, threading
from bridge.app.memory import keep_large_buffers
if {kept}:
    keep_large_buffers()
barrier = threading.Barrier(4)
def allocate():
    bytearray(100_000)
    barrier.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


def test_all_threads_use_the_same_buffers() -> None:
    """An evaluation would otherwise have its own on each thread that it ever ran on."""

    def heaps(*, kept: bool) -> int:
        command = [sys.executable, "-c", THREADS.format(kept=kept)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout.count(
            "<heap nr="
        )

    assert (heaps(kept=True), heaps(kept=False) > 1) == (1, True)


def test_a_c_library_without_mallopt_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """musl, for example."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert keep_large_buffers() is False


def test_the_collector_leaves_alone_what_the_start_has_made() -> None:
    """And waits for many more allocations; undone here, for the tests that follow."""
    before = gc.get_threshold()
    try:
        collect_rarely()
        exclude_start()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] >= 50_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


class Node:
    """Object that can be in a cycle and be looked for by a weak reference."""

    other: Node


def test_a_second_start_collects_what_the_first_one_has_left() -> None:
    """The state of a fleet's former owner, which would otherwise stay for ever."""
    try:
        first = Node()
        first.other = first
        left = weakref.ref(first)
        exclude_start()
        del first
        assert left() is not None
        exclude_start()
        assert left() is None
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
