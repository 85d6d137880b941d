"""Large buffers are kept."""

from __future__ import annotations

import ctypes
import gc

from bridge.app.memory import collect_rarely, keep_large_buffers


def test_glibc_takes_the_settings() -> None:
    """Both thresholds are accepted."""
    assert keep_large_buffers() is True


def test_a_c_library_without_mallopt_changes_nothing(monkeypatch) -> None:
    """musl, for example."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert keep_large_buffers() is False


def test_the_collector_leaves_alone_what_the_start_has_made() -> None:
    """And waits for many more allocations; undone here, for the tests that follow."""
    before = gc.get_threshold()
    try:
        collect_rarely()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] >= 50_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
