"""Weekday means: compared with slow plain Python, what is unknown, and what is not learnt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from bridge.domain.verdict import Floats
from bridge.strategies.stats.weekday_means import BOUND, FEWEST, MEMORY, WEEKS, WeekdayMeans

NONE = np.zeros(1)


@dataclass
class Slow:
    """One model, in plain Python."""

    means: dict[int, float] = field(default_factory=dict)
    weeks: dict[int, int] = field(default_factory=dict)
    variance: float = 0.0
    errors: int = 0

    def predict(self, weekday: int) -> tuple[float, float]:
        if weekday not in self.weeks or self.errors < FEWEST:
            return 0.0, math.inf
        return self.means[weekday], self.variance * (1 + 1 / self.weeks[weekday])

    def learn(self, mean: float, weekday: int) -> None:
        if weekday not in self.weeks:
            self.means[weekday], self.weeks[weekday] = mean, 1
            return
        weeks, error = self.weeks[weekday], mean - self.means[weekday]
        if self.errors >= FEWEST - 1:
            most = BOUND * math.sqrt(self.variance)
            error = max(-most, min(most, error))
        self.errors = min(self.errors + 1, MEMORY)
        self.variance += (error**2 / (1 + 1 / weeks) - self.variance) / self.errors
        self.weeks[weekday] = min(weeks + 1, WEEKS)
        self.means[weekday] += error / self.weeks[weekday]


def states(models: int = 1) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    return np.zeros(models, list(WeekdayMeans.fields))


def test_means_and_variances_equal_those_of_plain_python() -> None:
    """Also with missing days, holidays, and weekdays that are forgotten, each at random."""
    draw, models = np.random.default_rng(71), 40
    own, slow = states(models), [Slow() for _ in range(models)]
    rhythm = draw.normal(0, 10, (7, models))
    for day in range(120):
        weekday = (day + np.arange(models)) % 7
        means = rhythm[weekday, np.arange(models)] + draw.normal(0, 1, models) + 30 * (draw.random(models) < 0.03)
        which, forgotten = draw.random(models) < 0.9, draw.random(models) < 0.01
        expected, variance = WeekdayMeans.predict(weekday, np.zeros(models), own)
        for model, one in enumerate(slow):
            mean, spread = one.predict(int(weekday[model]))
            assert variance[model] == pytest.approx(spread, rel=1e-4)
            assert math.isinf(spread) or expected[model] == pytest.approx(mean, rel=1e-4, abs=1e-4)
            if which[model]:
                one.learn(float(means[model]), int(weekday[model]))
            if forgotten[model]:
                one.weeks.pop(int(weekday[model]), None)
        WeekdayMeans.learn(means, weekday, which, own)
        WeekdayMeans.forget(weekday, forgotten, own)


def test_the_variance_is_that_of_a_mean_for_each_weekday() -> None:
    """The scaled prediction errors of four weeks add up to the sum of squares around these means."""
    values, own = np.random.default_rng(75).normal(size=(WEEKS, 7)) + np.arange(7), states()
    for number, value in enumerate(values.ravel()):
        WeekdayMeans.learn(np.array([value]), np.array([number % 7]), np.ones(1, np.bool_), own)
    mean, variance = WeekdayMeans.predict(np.array([3]), NONE, own)
    squares = ((values - values.mean(axis=0)) ** 2).sum() / (7 * (WEEKS - 1))
    assert mean[0] == pytest.approx(values[:, 3].mean(), rel=1e-5)
    assert variance[0] == pytest.approx(squares * (1 + 1 / WEEKS), rel=1e-5)


def test_nothing_is_predicted_before_two_weeks_are_known() -> None:
    own, found = states(), []
    for day in range(15):
        found.append(float(WeekdayMeans.predict(np.array([day % 7]), NONE, own)[1][0]))
        WeekdayMeans.learn(np.array([day % 2]), np.array([day % 7]), np.ones(1, np.bool_), own)
    assert np.isinf(found[:14]).all()
    assert found[14] < math.inf


def test_a_weekday_that_was_forgotten_is_unknown_and_the_others_are_not() -> None:
    own = states(2)
    for day in range(21):
        WeekdayMeans.learn(np.full(2, day % 7), np.full(2, day % 7), np.ones(2, np.bool_), own)
    WeekdayMeans.forget(np.full(2, 4), np.array([True, False]), own)
    assert np.isinf(WeekdayMeans.predict(np.full(2, 4), np.ones(2), own)[1]).tolist() == [True, False]
    assert np.isfinite(WeekdayMeans.predict(np.full(2, 5), np.ones(2), own)[1]).all()


def test_a_level_that_rises_is_no_rhythm() -> None:
    """The means of weekdays differ by their own rhythm, and hardly by a rise over weeks; unknown ones do not count."""
    own = states(3)
    for day in range(28):
        rhythm = [1.0 if day % 7 > 4 else 0.0, 0.01 * day, 1.0 if day % 7 > 4 else 0.0]
        which = np.array([True, True, day % 7 != 0])
        WeekdayMeans.learn(np.array(rhythm), np.full(3, day % 7), which, own)
    first, second, third = WeekdayMeans.rhythm(own).tolist()
    assert first == pytest.approx(np.var([0, 0, 0, 0, 0, 1, 1], ddof=1))
    assert second < 0.001
    assert third == pytest.approx(np.var([0, 0, 0, 0, 1, 1], ddof=1))
    assert WeekdayMeans.rhythm(states()).tolist() == [0.0]


def test_days_vary_at_least_as_their_samples_do() -> None:
    own, least = states(), np.array([0.5])
    for day in range(21):
        WeekdayMeans.learn(np.ones(1), np.array([day % 7]), np.ones(1, np.bool_), own)
    assert variance_of(own, least) == pytest.approx(0.5 * (1 + 1 / 3))


def variance_of(own: np.ndarray[tuple[int], np.dtype[np.void]], least: Floats) -> float:
    return float(WeekdayMeans.predict(np.array([0]), least, own)[1][0])


def test_a_far_day_is_usual_if_it_is_twice_as_near_to_its_weekday() -> None:
    """Or if nothing is known of its weekday; one week is no rhythm yet."""
    own, day, one = np.zeros(1, list(WeekdayMeans.fields)), np.array([5]), np.ones(1, np.bool_)

    def usual(mean: float) -> bool:
        return bool(WeekdayMeans.is_usual(np.array([mean]), np.array([1.0]), day, own)[0])

    assert usual(9.0)
    WeekdayMeans.learn(np.array([4.0]), day, one, own)
    assert [usual(mean) for mean in (2.9, 3.1, 4.0, 6.9, 7.1)] == [False, True, True, True, False]
    assert not WeekdayMeans.repeats(day, own)[0]
    WeekdayMeans.learn(np.array([4.0]), day, one, own)
    assert WeekdayMeans.repeats(day, own)[0]
