"""Seasonal profile: levels and noise by hour. test_standardise.py has it within a standardised signal."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bridge.domain.times import DAY, HOUR
from bridge.strategies.stats.seasonal_profile import MEMORY, SeasonalProfile, local

START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC
ALL = np.ones(1, np.bool_)


def profile(hours: int = 24, zone: str = "UTC") -> tuple[SeasonalProfile, np.ndarray]:
    made = SeasonalProfile(hours, zone)
    return made, np.zeros(1, made.fields)


def fill(made: SeasonalProfile, state: np.ndarray, levels: list[float], start: int = START) -> None:
    """Add one number in each hour, and begin the next."""
    for hour, level in enumerate([*levels, 0.0]):
        made.add(start + hour * HOUR, state, np.array([level]), ALL if hour < len(levels) else ~ALL)


def test_levels_are_interpolated_between_mid_hours() -> None:
    made, state = profile()
    fill(made, state, [float(hour) for hour in range(24)])
    at = START + DAY + 5 * HOUR
    assert [made.reference(at + share * HOUR // 4, state)[0] for share in range(4)] == [4.5, 4.75, 5.0, 5.25]


def test_an_hour_that_was_never_seen_is_unknown() -> None:
    """Next to one, the level of the known hour is used alone."""
    made, state = profile()
    fill(made, state, [3.0])
    assert np.isnan(made.reference(START + DAY + 12 * HOUR, state)[0])
    assert made.reference(START + DAY + HOUR // 4, state)[0] == 3.0
    assert (made.seen(START, state)[0], made.seen(START + HOUR, state)[0]) == (1.0, 0.0)


def test_the_level_is_a_mean_of_the_last_seasons() -> None:
    made, state = profile()
    for day in range(10):
        fill(made, state, [0.0 if day < 5 else 8.0], START + day * DAY)
    assert made.seen(START, state)[0] == MEMORY
    expected = 0.0
    for _ in range(5):
        expected += (8.0 - expected) / MEMORY
    assert made.reference(START + HOUR // 2, state)[0] == pytest.approx(expected)


def test_the_mean_of_an_hour_counts_once() -> None:
    """Samples that are not to be learnt are left out."""
    made, state = profile()
    for number, which in ((1.0, ALL), (3.0, ALL), (100.0, ~ALL)):
        made.add(START, state, np.array([number]), which)
    assert made.seen(START, state)[0] == 0
    made.add(START + HOUR, state, np.array([0.0]), ~ALL)
    assert made.reference(START + HOUR // 2, state)[0] == 2.0


def test_a_week_has_hours_of_its_own() -> None:
    made, state = profile(168)
    fill(made, state, [5.0])
    assert np.isnan(made.reference(START + DAY, state)[0])
    assert made.reference(START + 7 * DAY, state)[0] == 5.0


def test_hours_are_those_of_the_wall_clock() -> None:
    """Nine in the morning stays nine over a change to daylight saving time."""
    zone = ZoneInfo("Europe/Berlin")
    winter, summer = 1_711_789_200_000, 1_711_872_000_000  # 30 and 31 March 2024, 10:00 in Berlin
    assert local(winter, zone) % DAY == 10 * HOUR
    assert local(summer, zone) % DAY == 10 * HOUR
    made, state = profile(24, "Europe/Berlin")
    fill(made, state, [7.0], winter)
    assert made.reference(summer + HOUR // 2, state)[0] == 7.0


def test_the_noise_of_an_hour_is_learnt_with_outliers_clipped() -> None:
    made, state = profile()
    assert made.noise(START, state)[0] == 1.0
    for _ in range(200):
        made.learn_noise(START, state, np.array([3.0]), ALL)
    assert made.noise(START, state)[0] == pytest.approx(3.0, rel=0.1)
    assert made.noise(START + HOUR, state)[0] == 1.0
    before = made.noise(START, state)[0]
    made.learn_noise(START, state, np.array([1e6]), ALL)
    assert made.noise(START, state)[0] < 1.05 * before


def test_a_constant_hour_can_become_noisy_again() -> None:
    made, state = profile()
    for _ in range(2000):
        made.learn_noise(START, state, np.array([0.0]), ALL)
    assert made.noise(START, state)[0] == pytest.approx(0.1)
