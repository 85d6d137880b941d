"""Large buffers are kept."""

from __future__ import annotations

import ctypes

from bridge.app.memory import keep_large_buffers


def test_glibc_takes_the_settings() -> None:
    """Both thresholds are accepted."""
    assert keep_large_buffers() is True


def test_a_c_library_without_mallopt_changes_nothing(monkeypatch) -> None:
    """musl, for example."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert keep_large_buffers() is False
