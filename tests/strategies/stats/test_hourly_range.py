"""Range of a signal by hour of the day."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, HOUR
from bridge.strategies.stats.hourly_range import ALARM, CHANCE, LASTS, ODD, OFTEN, HourlyRange

START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC
OTHER, SECOND = np.array([False]), np.array([True])


def test_a_level_of_the_last_days_is_within_the_range() -> None:
    """By hour of the day, beyond a margin; a bound lasts for nine days, and hours marked as odd do not widen it."""
    hours = HourlyRange()
    own = np.zeros(1, list(hours.fields))

    def outside(value: float, at: int, *, odd: bool = False) -> bool:
        found = hours.step(np.array([value]), np.array([0.1]), START + at * HOUR, np.array([DAY]), OTHER, own)
        hours.mark(np.array([odd]), own)
        return bool(found.level[0, 0])

    assert outside(1.0, 0)  # nothing is known of this hour
    outside(0.0, 1)
    assert not outside(1.05, 24)
    outside(0.0, 25)
    assert outside(1.2, 48, odd=True)
    outside(0.0, 49)
    assert outside(1.2, 72)
    outside(0.0, 73)
    for day in range(4, 4 + LASTS):
        assert not outside(1.2, 24 * day)
        outside(0.0, 24 * day + 1)


def test_bounds_follow_a_steep_wave_within_an_hour() -> None:
    """A level that falls through every hour, as on every day before, is within its range from the hour's begin on."""
    hours = HourlyRange()
    own = np.zeros(1, list(hours.fields))
    outside = []
    for position in range(5 * 288):
        value = np.array([-float(position % 288)])
        found = hours.step(value, np.array([0.1]), START + position * DAY // 288, np.array([DAY // 288]), OTHER, own)
        if position >= 4 * 288 + 24:  # two hours after the jump at midnight
            outside.append(bool(found.level[0, 0]))
    assert not any(outside)


def test_on_the_second_day_a_level_of_any_hour_is_within_the_range() -> None:
    """A jump back at midnight is not new; a level beyond those of all hours is, and an unknown hour is compared too."""
    hours = HourlyRange()
    own = np.zeros(1, list(hours.fields))

    def outside(value: float, at: int) -> list[list[bool]]:
        step = np.array([HOUR * 100])
        found = hours.step(np.array([value]), np.array([0.3]), START + at * HOUR, step, SECOND, own)
        return [found.sample[0].tolist(), found.level[0].tolist()]

    assert outside(1.0, 0) == [[True, True], [True, True]]  # nothing is known
    assert outside(1.0, 1) == [[False, False], [False, False]]
    assert outside(0.0, 12) == [[False, True], [False, True]]
    assert outside(0.0, 23) == [[False, False], [False, False]]
    assert outside(1.0, 24) == [[False, False], [False, False]]
    assert outside(1.2, 25) == [[False, False], [True, False]]  # beyond a third of the margin, as a level
    assert outside(1.6, 26) == [[True, False], [True, False]]


def test_the_upper_end_of_the_range_is_the_higher_one_of_both_ends_of_the_hour() -> None:
    """A level that falls within an hour is as high as at its beginning for a part of it.

    The upper end of all hours is known when every hour is over.
    """
    hours = HourlyRange()
    own = np.zeros(1, list(hours.fields))
    upper, of_day = [], []
    for at in range(48):
        value, slot = np.array([5.0 if at % 24 == 7 else 1.0]), START + at * HOUR
        hours.step(value, np.array([0.1]), slot, np.array([HOUR * 100]), OTHER, own)
        found = hours.upper(slot, own)
        upper.append(float(found[0][0]))
        of_day.append(float(found[1][0]))
    assert upper[0] == -np.inf
    assert upper[24 + 6 : 24 + 10] == [1.0, 5.0, 5.0, 1.0]
    assert of_day == [np.inf] * 24 + [5.0] * 24


def upper_ends(days: int, peak: float, alarm: int = 8, hour: int = 5) -> list[float]:
    """Return the upper end of one hour after each day.

    The value is 1, and in this hour `peak`, with an alarm on the first `alarm` days.
    """
    hours, never, found = HourlyRange(), np.array([False]), []
    own = np.zeros(1, list(hours.fields))
    own["row"] = OFTEN
    for at in range(24 * days + 1):
        value, job = np.array([peak if at % 24 == hour else 1.0]), at % 24 == hour and at < 24 * alarm
        hours.step(value, np.array([0.1]), START + at * HOUR, np.array([DAY]), never, own)
        hours.mark_alarms(np.array([job]), never, np.array([DAY]), never, never, own)
        if at % 24 == 0 and at:
            found.append(float(own["bound"][0, hour, 0]))
    return found


def test_an_hour_with_an_alarm_each_day_becomes_a_habit() -> None:
    """On the fourth day; its highest value is then usual, with what chance adds, and stays so without an alarm."""
    found = upper_ends(30, 5.0, alarm=4)
    assert found[:3] == [0.0] * 3
    assert np.allclose(found[3:], 5.0 + 0.1 * CHANCE)


def test_three_days_with_an_alarm_are_no_habit() -> None:
    """What follows without an alarm is the usual level."""
    assert np.allclose(upper_ends(3 + 9, 5.0, alarm=3)[:3], 0.0)


def mark(own: NDArray[np.void], days: float, *, begins: bool = False, again: bool = False, back: bool = False) -> int:
    """Return the mark of an hour, days after the last alarm."""
    own["odd"] = 0
    begun, usual, habit = (np.array([each]) for each in (begins, back, again))
    HourlyRange.mark_alarms(begun, begun, np.array([int(days * DAY)]), usual, habit, own)
    return int(own["odd"][0])


def test_hours_after_an_alarm_are_odd_for_four_days() -> None:
    """Unless alarms come often, or today's comes each week; a level that was usual after all is normal."""
    own = np.zeros(1, list(HourlyRange.fields))
    assert mark(own, 99, begins=True) == ALARM
    assert [mark(own, days) for days in (0.5, 3.9, 4.1)] == [ODD, ODD, 0]
    assert mark(own, 3.9, back=True) == 0
    assert mark(own, 0.6, begins=True) == ALARM  # the same incident
    for _ in range(OFTEN - 2):
        assert mark(own, 4.5, begins=True) == ALARM
        assert mark(own, 0.5) == ODD
    assert mark(own, 4.5, begins=True) == ALARM
    assert mark(own, 0.5) == 0
    assert mark(own, 10, begins=True) == ALARM  # the first of a new row
    assert mark(own, 0.5) == ODD
    assert mark(own, 0.5, again=True) == 0
    assert mark(own, 0.5) == 0
