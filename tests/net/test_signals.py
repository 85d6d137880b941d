"""Waiting for signals."""

from __future__ import annotations

import threading

from bridge.net.signals import LONGEST, wait_for_signal


class Slept(threading.Event):
    """An event that is never woken: each wait is noted, and the flag is found set after some of them."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None, "a wait without a limit can miss a signal"
        self.waits.append(timeout)
        return len(self.waits) > self.after


def test_a_signal_whose_wake_up_was_lost_is_noticed_by_the_next_step() -> None:
    event = Slept(after=3)
    assert wait_for_signal(event)
    assert len(event.waits) == 4
    assert max(event.waits) <= LONGEST


def test_a_wait_ends_at_its_limit() -> None:
    assert not wait_for_signal(threading.Event(), 0.0)
    event = threading.Event()
    event.set()
    assert wait_for_signal(event, 0.0)
