"""A time that never goes back, whatever is done to the wall clock."""

from __future__ import annotations

import random

import pytest

from bridge.app.clock import BridgeClock, Steps

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


class Hands:
    """Wall clock and monotonic clock that the test moves, in seconds."""

    def __init__(self) -> None:
        self.wall, self.monotonic = START, 77 * SECOND
        self.told: list[int] = []
        self.clock = BridgeClock(Steps(lambda: self.wall, lambda: self.monotonic))
        self.clock.on_step = self.told.append

    def passes(self, seconds: float, *, set_by: float = 0.0) -> float:
        """Let time pass, set the wall clock, and return the bridge's time since the start."""
        self.monotonic += int(seconds * SECOND)
        self.wall += int((seconds + set_by) * SECOND)
        return self.shown()

    def shown(self) -> float:
        return self.clock.now() / 1000 - START / SECOND


def test_it_is_the_wall_clock_as_long_as_that_is_not_set() -> None:
    """Also while NTP slows it down or speeds it up."""
    hands = Hands()
    assert hands.passes(10) == pytest.approx(10)
    assert hands.passes(100, set_by=0.05) == pytest.approx(110.05)
    assert hands.passes(100, set_by=-0.05) == pytest.approx(210)
    assert (hands.told, hands.clock.lead()) == ([], 0)


def test_a_clock_that_is_set_back_is_waited_for_at_half_pace(caplog: pytest.LogCaptureFixture) -> None:
    """It never stops and never goes back; after twice the step both clocks agree again."""
    hands = Hands()
    hands.passes(10)
    assert hands.passes(2, set_by=-60) == pytest.approx(11)
    assert hands.clock.lead() == pytest.approx(59_000)
    assert hands.told == [-60_000]
    assert "the wall clock was set back; evaluation continues" in caplog.text
    assert caplog.records[0].by == "1m"  # type: ignore[attr-defined]
    shown = [hands.passes(2) for _ in range(59)]
    assert shown == pytest.approx([12 + index for index in range(59)])
    assert hands.clock.lead() == 0
    assert hands.passes(2) == pytest.approx(72)
    assert hands.told == [-60_000], "told once"


def test_a_clock_that_is_set_right_again_is_followed_at_once() -> None:
    """However far it was behind, and however far it jumps."""
    hands = Hands()
    hands.passes(1, set_by=-600)
    assert hands.passes(10, set_by=600) == pytest.approx(11)
    assert hands.passes(1, set_by=7200) == pytest.approx(7212)
    assert hands.told == [-600_000, 600_000, 7_200_000]
    assert hands.clock.lead() == 0


def test_a_machine_that_was_suspended_continues_at_the_present_instant() -> None:
    """The monotonic clock does not count the suspended time."""
    hands = Hands()
    assert hands.passes(0, set_by=3600) == pytest.approx(3600)


def test_a_start_continues_after_the_last_slot_that_is_stored(caplog: pytest.LogCaptureFixture) -> None:
    """The clock was set back while the bridge was down."""
    hands = Hands()
    hands.clock.not_before(START // 1_000_000 + 90_000)
    assert hands.shown() == pytest.approx(90)
    assert hands.passes(10) == pytest.approx(95)
    assert "behind the last stored slot" in caplog.text
    hands.clock.not_before(START // 1_000_000)
    assert hands.shown() == pytest.approx(95)


def test_a_thread_that_is_held_up_between_two_readings_sees_no_step() -> None:
    """The clocks are read again."""
    hands = Hands()
    readings = iter([0, 5 * SECOND, 5 * SECOND, 5 * SECOND + 1000])
    steps = Steps(lambda: START, lambda: 0)
    steps._read_monotonic = lambda: next(readings)
    steps._read_wall = lambda: START + 5 * SECOND
    assert steps.look()[1] == pytest.approx(0, abs=1_000_000)
    assert hands.told == []


def test_it_never_goes_back_and_never_stands_still() -> None:
    """Over random steps; each reading at least half of the time that passed, or what the wall clock shows."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw, hands, before = random.Random(seed), Hands(), 0.0
    for _ in range(2000):
        passed = draw.choice([0.0, 0.5, 3.0])
        shown = hands.passes(passed, set_by=draw.choice([0, 0, 0, -0.3, -60, -3600, 0.3, 60, 3600]))
        assert shown >= before + passed / 2 - 0.002
        assert shown == pytest.approx(max(before + passed / 2, (hands.wall - START) / SECOND), abs=0.005)
        before = shown
