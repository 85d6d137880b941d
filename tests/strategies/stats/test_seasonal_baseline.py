"""Seasonal baseline: innovations of correlated noise and of a wandering level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.strategies.stats.seasonal_baseline import MAD, SeasonalBaseline

START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC
NONE = np.array([False])


def test_innovations_of_correlated_noise_are_independent_with_variance_one() -> None:
    """AR(0.8) around a daily wave: after some days, innovations in units of their standard deviation."""
    draw, models = np.random.default_rng(31), 200
    habits = SeasonalBaseline()
    own = np.zeros(models, list(habits.fields))
    noise, found = np.zeros(models), []
    for position in range(20 * 288):
        slot = START + position * 5 * MINUTE
        noise = 0.8 * noise + 0.6 * draw.standard_normal(models)
        wave = 5 * math.sin(2 * math.pi * position / 288)
        surprise = habits.step(100 + wave + noise, slot, np.full(models, 5 * MINUTE), NONE, own)
        if position >= 14 * 288:
            found.append(surprise.z)
    z = np.array(found)
    assert abs(float(z.std()) - 1) < 0.08
    assert abs(float(np.mean([stats.pearsonr(z[:-1, item], z[1:, item])[0] for item in range(50)]))) < 0.06


def test_a_level_that_wanders_under_noise_does_not_add_up_to_a_shift() -> None:
    """The variance of means of three hours is below twice that of independent noise; whitening alone leaves 3.5."""
    draw, models = np.random.default_rng(32), 100
    habits = SeasonalBaseline()
    own = np.zeros(models, list(habits.fields))
    level, found = np.zeros(models), []
    for position in range(21 * 288):
        level = 0.9995 * level + 0.005 * draw.standard_normal(models)
        values = level + 0.02 * draw.standard_normal(models)
        z = habits.step(values, START + position * 5 * MINUTE, np.full(models, 5 * MINUTE), NONE, own).z
        if position >= 14 * 288:
            found.append(z)
    means = np.array(found).reshape(-1, 36, models).sum(1) / math.sqrt(36)
    assert float(means.var()) < 2.0


def test_after_a_move_the_level_is_the_mean_of_all_samples_since_and_z_has_variance_one() -> None:
    """Recursive residuals: the distance from the mean of n samples has the variance 1 + 1 / n, and none of it lasts."""
    draw, models = np.random.default_rng(34), 2000
    habits = SeasonalBaseline()
    own = np.zeros(models, list(habits.fields))
    passed = np.full(models, 5 * MINUTE)
    for position in range(4 * 288):
        habits.step(draw.standard_normal(models), START + position * 5 * MINUTE, passed, NONE, own)
    SeasonalBaseline.move(own)
    values, found, distances = 50 + draw.standard_normal((24, models)), [], []
    for position in range(24):
        seen = habits.step(values[position], START + (4 * 288 + position) * 5 * MINUTE, passed, NONE, own)
        found.append(seen.z)
        if position:
            distances.append(np.abs(seen.expected - values[:position].mean(axis=0)))
    assert np.isnan(found[0]).all()
    assert float(np.median(distances)) < 0.15  # the usual levels of two hours differ a little
    z = np.array(found[1:])
    assert abs(float(z.std()) - 1) < 0.08
    assert float((z.sum(axis=0) / math.sqrt(len(z))).std()) < 1.1


def test_a_value_is_far_beyond_one_standard_deviation_from_the_mean_of_its_day() -> None:
    """Hours that were never seen do not count, and a level that wanders moves all of them."""
    own = np.zeros(3, list(SeasonalBaseline.fields))
    own["day"][:, :4], own["seen"] = [1.0, 3.0, 9.0, 9.0], 0b11
    own["spread"] = 1 / MAD
    own["wander"][2] = 2.0
    assert SeasonalBaseline.far(np.array([2.9, 3.1, 3.1]), own).tolist() == [False, True, False]


@pytest.mark.parametrize(("minutes", "memory"), [(5, 0.0), (5, 1.0), (5, 3.0), (30, 3.0), (60, 3.0)])
def test_the_correlation_is_that_of_residuals_an_hour_apart(minutes: int, memory: float) -> None:
    """AR(1) noise whose correlation falls to 1 / e within `memory` hours, in windows of so many minutes."""
    draw, models, step = np.random.default_rng(33), 100, minutes * MINUTE
    phi = math.exp(-step / HOUR / memory) if memory else 0.0
    habits = SeasonalBaseline()
    own = np.zeros(models, list(habits.fields))
    noise, passed, residuals = draw.standard_normal(models), np.full(models, step), []
    for position in range(14 * 1440 // minutes):
        noise = phi * noise + math.sqrt(1 - phi * phi) * draw.standard_normal(models)
        residuals.append(noise - habits.step(noise, START + position * step, passed, NONE, own).expected)
    found, last = float(np.median(habits.correlation(passed, own))), np.array(residuals)[-6 * DAY // step :]
    per_window = float((last[1:] * last[:-1]).sum() / (last * last).sum())
    hour = max(per_window, 0.0) ** (60 / minutes)
    print(found, hour)
    assert found == pytest.approx(hour, abs=0.05)


def test_windows_of_more_than_an_hour_count_as_uncorrelated() -> None:
    habits = SeasonalBaseline()
    own = np.zeros(1, list(habits.fields))
    passed = np.array([6 * HOUR])
    for position in range(200):
        habits.step(np.array([10.0 + position % 40]), START + position * 6 * HOUR, passed, NONE, own)
    assert habits.correlation(passed, own).tolist() == [0.0]


def test_constant_values_before_and_after_a_long_gap_leave_room_to_learn_the_noise_that_follows() -> None:
    """The variance of means has fallen to 0; it returns to that of independent noise, which whitening leaves."""
    draw, passed, slot = np.random.default_rng(34), np.full(20, HOUR), START
    habits = SeasonalBaseline()
    own = np.zeros(20, list(habits.fields))
    for position in range(40 * 24):
        gap = 200 * DAY if position == 20 * 24 else HOUR
        slot += gap
        habits.step(np.full(20, 10.0), slot, np.full(20, gap), NONE, own)
    level = np.zeros(20)
    for _ in range(30 * 24):
        slot += HOUR
        level = 0.98 * level + 0.2 * draw.standard_normal(20)
        habits.step(10 + level + 0.1 * draw.standard_normal(20), slot, passed, NONE, own)
    print(own["excess"])
    assert abs(float(np.median(own["excess"]))) < 0.3


def test_the_profile_is_flat_beside_a_jump_and_linear_within_a_wave() -> None:
    """A job runs from 02:00 to 05:00: at 01:55 it is not expected. Where the slope is steady, it is followed."""
    habits, hour = SeasonalBaseline(), np.array([5 * MINUTE])
    job, ramp = (np.zeros(1, list(habits.fields)) for _ in range(2))
    expected = []
    for position in range(14 * 288):
        at, slot = position % 288 / 12, START + position * 5 * MINUTE
        one = habits.step(np.array([9.0 if 2 <= at < 5 else 1.0]), slot, hour, NONE, job).expected[0]
        two = habits.step(np.array([abs(at - 12.0)]), slot, hour, NONE, ramp).expected[0]
        expected.append((at, one, two))
    for at, one, two in expected[13 * 288 :]:
        assert one == pytest.approx(9.0 if 2 <= at < 5 else 1.0, abs=0.2)
        if min(at % 12, 12 - at % 12) > 2:
            assert two == pytest.approx(abs(at - 12.0), abs=0.2)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_slopes_of_tiny_and_of_huge_values_are_followed(scale: float) -> None:
    """Products of single precision would be 0 or infinite."""
    habits, passed, expected = SeasonalBaseline(), np.array([5 * MINUTE]), []
    own = np.zeros(1, list(habits.fields))
    for position in range(14 * 288):
        at, slot = position % 288 / 12, START + position * 5 * MINUTE
        with np.errstate(over="raise", invalid="raise"):
            found = habits.step(scale * np.array([abs(at - 12.0)]), slot, passed, NONE, own)
        expected.append((at, found.expected[0] / scale))
    for at, value in expected[13 * 288 :]:
        if min(at % 12, 12 - at % 12) > 2:
            assert value == pytest.approx(abs(at - 12.0), abs=0.2)


@pytest.mark.parametrize(("odd", "expected"), [(False, 3.6), (True, 2.0)])
def test_an_odd_sample_is_no_habit_of_its_weekday(odd: bool, expected: float) -> None:
    """After two weeks at 2, a day at 10 raises the expected values of its weekday by a fifth, if it is not odd."""
    habits, passed = SeasonalBaseline(), np.array([HOUR])
    own = np.zeros(1, list(habits.fields))
    for position in range(14 * 24):
        habits.step(np.array([2.0]), START + position * HOUR, passed, NONE, own)
    for position in range(14 * 24, 15 * 24):
        habits.step(np.array([10.0]), START + position * HOUR, passed, np.array([odd]), own)
    week = own["week"][0, :] + 2.0
    assert week[(START // HOUR + 14 * 24 + 1) % 168] == pytest.approx(expected, abs=0.1)


def test_an_alarm_on_the_same_day_of_two_weeks_comes_again() -> None:
    """One on another day does not; a week without one ends the habit."""
    own, hour = np.zeros(1, list(SeasonalBaseline.fields)), np.array([HOUR])
    found = []
    for at in range(5 * 168):
        week, day = at // 168, at % 168 // 24
        alarm = at % 24 == 3 and ((day == 2 and week != 2) or (week, day) == (0, 4) or (week, day) == (1, 5))
        if SeasonalBaseline.comes_again(np.array([alarm]), START + at * HOUR, hour, own)[0]:
            found.append((week, day, at % 24))
    assert found == [(week, 2, hour_of_day) for week in (1, 4) for hour_of_day in range(3, 24)]


def test_an_alarm_that_comes_again_is_learnt_within_its_hour() -> None:
    """95 % of its distance; another alarm teaches nothing about its weekday."""
    for again, share in ((True, 0.95), (False, 0.0)):
        own, habits = np.zeros(1, list(SeasonalBaseline.fields)), SeasonalBaseline()
        passed, alarm = np.array([5 * MINUTE]), np.array([True])
        for position in range(8 * 288):
            habits.step(np.ones(1), START + position * 5 * MINUTE, passed, NONE[:1], own)
        for position in range(8 * 288, 8 * 288 + 12):
            slot = START + position * 5 * MINUTE
            base = own["day"][0, 0]
            habits.step(np.array([11.0]), slot, passed, alarm, own, np.array([again]))
        hour_of_week = slot // HOUR % 168
        assert own["week"][0, hour_of_week] == pytest.approx(share * (11.0 - base), abs=1.5)


def test_alarms_of_the_version_before_are_no_habit() -> None:
    """An alarm a week after one of the former version does not come again."""
    own, hour, alarm = np.zeros(1, list(SeasonalBaseline.fields)), np.array([HOUR]), np.array([True])
    for at in range(168):
        SeasonalBaseline.comes_again(alarm & (at == 3), START + at * HOUR, hour, own)
    former = own.copy()
    SeasonalBaseline.move(own)
    slot = START + (168 + 3) * HOUR
    assert SeasonalBaseline.comes_again(alarm, slot, hour, former)[0]
    assert not SeasonalBaseline.comes_again(alarm, slot, hour, own)[0]
