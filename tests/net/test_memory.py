"""Return of freed memory to the operating system."""

from __future__ import annotations

import pytest

from bridge.net import memory
from bridge.net.memory import LARGE, give_back


def test_memory_is_returned_after_large_answers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes milliseconds."""
    calls: list[int] = []
    monkeypatch.setattr(memory, "_trim", calls.append)
    for size in (0, LARGE - 1, LARGE, 10 * LARGE):
        give_back(size)
    assert calls == [0, 0]


def test_a_c_library_that_cannot_trim_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """musl, for example."""
    monkeypatch.setattr(memory, "_trim", None)
    give_back(LARGE)
