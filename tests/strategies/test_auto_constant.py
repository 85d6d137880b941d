"""auto on signals that were constant: they raise an alarm when they vary, and then become usual."""

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
