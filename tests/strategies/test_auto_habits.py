"""auto: what repeats by the day or by the week becomes usual, and an incident does not."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.batch import EventKind
from tests.strategies.test_auto import Floats
from tests.strategies.test_auto_constant import PER_DAY, alarms, alarms_of_counts


def weekends(days: int, factor: float, first: int) -> Floats:
    """Return the factor of each sample: that of weekends on two days of seven, the first of them on day `first`."""
    return np.where((np.arange(days * PER_DAY) // PER_DAY - first) % 7 < 2, factor, 1.0)


@pytest.mark.parametrize("event", [EventKind.LATENCY, EventKind.CUSTOM])
@pytest.mark.parametrize(("factor", "first"), [(1.5, 5), (3.0, 5), (3.0, 1)])
def test_higher_weekends_are_usual_from_the_fourth_one_on(event: EventKind, factor: float, first: int) -> None:
    """Each weekend raised an alarm, for good, if the signal began with five weekdays."""
    courses = []
    for seed in (120, 121, 122):
        print(f"seed {seed}")
        noise = 0.1 * np.random.default_rng(seed).standard_normal(49 * PER_DAY)
        level = weekends(49, factor, first)
        courses.append(level * np.exp(noise) if event is EventKind.LATENCY else level + noise)
    founds = alarms(event, courses)
    assert all(len(found) >= 1 for found in founds)
    assert sum(np.sum(found > (first + 20) * PER_DAY) for found in founds) <= 2  # of twelve weekends


def test_weekends_with_more_errors_become_usual() -> None:
    """1 % on weekdays and 3 % on weekends; each of them raised an alarm in each model."""
    founds = alarms_of_counts(0.01 * weekends(56, 3.0, 5), 123)
    late = [np.unique(found[found > 14 * PER_DAY] // (7 * PER_DAY)) for found in founds]
    assert sum(len(weeks) for weeks in late) <= 12  # of 24


@pytest.mark.parametrize(("begin", "end"), [(3.0, 4.0), (3.3, 3.7), (3.5, 4.5)])
def test_failures_at_the_same_time_of_each_day_are_usual_from_the_fifth_day_on(begin: float, end: float) -> None:
    """A fifth of the requests; it raised an alarm a day, for good."""
    hour = np.arange(24 * PER_DAY) % PER_DAY * 24 / PER_DAY
    job = (hour >= begin) & (hour < end) & (np.arange(24 * PER_DAY) >= 10 * PER_DAY)
    for found in alarms_of_counts(np.where(job, 0.2, 0.01), 124):
        assert [int(at) // PER_DAY for at in found] == [10, 11, 12, 13]


@pytest.mark.parametrize(("days", "apart"), [(1, 3), (3, 8)])
def test_an_incident_does_not_hide_the_next_one_of_the_same_week(days: int, apart: int) -> None:
    """4 % instead of 1 % of errors; days after the first belonged to the usual range."""
    shares = np.full((16 + apart + days) * PER_DAY, 0.01)
    for begin in (15, 15 + apart):
        shares[begin * PER_DAY : (begin + days) * PER_DAY] = 0.04
    for found in alarms_of_counts(shares, 125):
        assert 15 * PER_DAY <= found[0] < 15 * PER_DAY + 12
        assert np.any((found >= (15 + apart) * PER_DAY) & (found < (15 + apart) * PER_DAY + 12))


def test_incidents_that_follow_each_other_within_days_are_detected() -> None:
    """Four of half a day, a day and a half apart, each with four times the errors; the fourth was hidden for a time."""
    shares = np.full(22 * PER_DAY, 0.01)
    begins = [15 * PER_DAY + each * 3 * PER_DAY // 2 for each in range(4)]
    for begin in begins:
        shares[begin : begin + PER_DAY // 2] = 0.04
    for found in alarms_of_counts(shares, 126):
        assert all(np.any((found >= begin) & (found < begin + 12)) for begin in begins)
