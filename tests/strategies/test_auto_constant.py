"""auto on signals that were constant, or without errors: a change raises an alarm, and then becomes usual."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.domain.batch import EventKind
from bridge.domain.times import DAY, MINUTE
from tests.strategies.test_auto import Floats, Story

PER_DAY = DAY // (5 * MINUTE)
VALUES = [EventKind.LATENCY, EventKind.DRIFT, EventKind.CUSTOM, EventKind.INFERENCE_ERROR]


def noise(days: int, seed: int, size: float = 0.1) -> Floats:
    """Return a day's samples of log-normal noise around 0.2, times `days`."""
    print(f"seed {seed}")
    return 0.2 * np.exp(size * np.random.default_rng(seed).standard_normal(days * PER_DAY))


def alarms(event: EventKind, courses: list[Floats], step: int = 5 * MINUTE) -> list[NDArray[np.int64]]:
    """Return the samples at which each of the courses raises an alarm. step: ms between two samples."""
    story = Story(event, len(courses), step)
    codes = np.array([story.see(value=row) for row in np.stack(courses, axis=1)])
    begins = (codes[1:] == "BREACHED") & (codes[:-1] != "BREACHED")
    return [np.flatnonzero(column) + 1 for column in begins.T]


@pytest.mark.parametrize("event", VALUES)
def test_noise_after_constant_days_raises_an_alarm_and_becomes_usual(event: EventKind) -> None:
    """Constant for nine hours, one day, two days and eight days; the noise is new, and usual after four days."""
    constant = [9 * PER_DAY // 24, PER_DAY, 2 * PER_DAY, 8 * PER_DAY]
    courses = []
    for seed, length in enumerate(constant):
        course = noise(18, 100 + seed)
        course[:length] = 0.2
        courses.append(course)
    for length, found in zip(constant, alarms(event, courses), strict=True):
        assert length <= found[0] < length + PER_DAY
        assert np.sum(found > length + 4 * PER_DAY) <= 2  # every few hours before the lock was mended
        assert len(found) <= 12


@pytest.mark.parametrize("event", VALUES)
def test_a_step_between_constant_levels_raises_one_alarm(event: EventKind) -> None:
    """At the step; the new level becomes usual, and nothing follows in the next month."""
    course = np.full(40 * 48, 0.2)
    course[10 * 48 + 13 :] = 0.4
    (found,) = alarms(event, [course], 30 * MINUTE)
    assert found.tolist() == [10 * 48 + 13]


def test_weekends_without_traffic_are_usual_from_the_second_one_on() -> None:
    """The signal begins with two idle days, on which it repeats its last value."""
    course = noise(28, 7)
    course[np.arange(len(course)) // PER_DAY % 7 < 2] = 0.2
    (found,) = alarms(EventKind.DRIFT, [course])
    assert np.sum(found > 9 * PER_DAY) <= 2
    assert len(found) <= 6


def test_a_second_incident_of_a_constant_signal_is_detected() -> None:
    """The first one is all that is known about its variation, and does not hide the second."""
    course = np.full(14 * PER_DAY, 0.2)
    for day in (8, 11):
        course[day * PER_DAY + 100 : day * PER_DAY + 124] = 0.4 + 0.01 * np.arange(24)
    (found,) = alarms(EventKind.LATENCY, [course])
    assert [int(at) // PER_DAY for at in found] == [8, 11]


def alarms_of_counts(shares: Floats, seed: int, requests: float = 500.0) -> list[NDArray[np.int64]]:
    """Return the samples at which each of four models with these shares (n,) of errors raises an alarm."""
    print(f"seed {seed}")
    draw, story = np.random.default_rng(seed), Story(EventKind.INFERENCE_ERROR, 4)
    errors = draw.binomial(int(requests), shares[:, None].repeat(4, axis=1)).astype(float)
    codes = np.array([story.see(errors=row, total=np.full(4, requests)) for row in errors])
    begins = (codes[1:] == "BREACHED") & (codes[:-1] != "BREACHED")
    return [np.flatnonzero(column) + 1 for column in begins.T]


@pytest.mark.parametrize("days", [1, 8])
def test_errors_after_days_without_any_raise_an_alarm_and_become_usual(days: int) -> None:
    """None, then 1 %; it raised 8 to 35 alarms while only past peaks decided."""
    shares = np.where(np.arange((days + 6) * PER_DAY) < days * PER_DAY, 0.0, 0.01)
    for found in alarms_of_counts(shares, 41):
        assert days * PER_DAY <= found[0] < days * PER_DAY + 24
        assert len(found) <= 2


def test_the_end_of_days_with_errors_only_raises_no_alarm() -> None:
    """Only errors, then 1 %; there were 10 to 16 alarms. A later rise is detected, far below the former level."""
    at = np.arange(30 * PER_DAY + 36)
    shares = np.where(at < 8 * PER_DAY, 1.0, np.where(at < 30 * PER_DAY, 0.01, 0.03))
    for found in alarms_of_counts(shares, 42):
        assert found[0] >= 8 * PER_DAY + 288
        assert found[-1] >= 30 * PER_DAY
        assert len(found) <= 2


@pytest.mark.parametrize(("weekend", "requests"), [(0.0, 500.0), (0.0025, 20_000.0)])
def test_weekends_with_fewer_errors_are_usual_from_the_second_one_on(weekend: float, requests: float) -> None:
    """1 % on weekdays; every Monday raised an alarm. The signal begins with a weekend."""
    shares = np.where(np.arange(24 * PER_DAY) // PER_DAY % 7 < 2, weekend, 0.01)
    founds = alarms_of_counts(shares, 43, requests)
    assert all(2 * PER_DAY <= found[0] < 2 * PER_DAY + 24 for found in founds)
    assert sum(len(found) for found in founds) <= 4 + 3  # of twelve later Mondays


def test_a_constant_share_of_one_is_no_rise() -> None:
    """All of 20,000 requests are errors."""
    assert all(len(found) == 0 for found in alarms_of_counts(np.ones(4 * PER_DAY), 44, 20_000.0))


def test_an_hour_of_failures_every_day_is_usual() -> None:
    """Each day begins with an hour in which all requests fail; from the tenth day on, it raised an alarm a day."""
    shares = np.where(np.arange(14 * PER_DAY) % PER_DAY < 12, 1.0, 0.001)
    assert all(np.sum(found > 3 * PER_DAY) == 0 for found in alarms_of_counts(shares, 45))
