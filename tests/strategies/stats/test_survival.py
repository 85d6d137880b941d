"""Lifetimes with censoring: against closed forms, shrinkage, and coverage on drawn fleets."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from benchmarks.lifetimes import LAWS, coverage, fleet
from bridge.strategies.stats.survival import LEAST, fit


def test_without_censoring_one_group_has_its_own_moments() -> None:
    """Mean and standard deviation of the logarithms."""
    rng = np.random.default_rng(7)
    lifetimes = np.exp(rng.normal(3, 0.4, 400)).tolist()
    fitted = fit([0] * 400, lifetimes, [True] * 400)
    assert fitted is not None
    assert fitted.means[0] == pytest.approx(np.log(lifetimes).mean(), abs=0.01)
    assert fitted.spread == pytest.approx(np.log(lifetimes).std(), rel=0.02)
    low, high = fitted.interval(0, 0.0)
    assert math.log(high / low) == pytest.approx(2 * 1.645 * 0.4, rel=0.15)


def test_what_still_lasts_counts_as_longer() -> None:
    """Ten that ended after 10 days and ten that have lasted 30: the mean is beyond that of the ended ones."""
    ended = fit([0] * 10, [10.0] * 10, [True] * 10)
    both = fit([0] * 20, [10.0] * 10 + [30.0] * 10, [True] * 10 + [False] * 10)
    assert ended is not None
    assert both is not None
    assert both.means[0] > ended.means[0] + 0.5


def test_groups_are_shrunk_towards_the_mean_of_all() -> None:
    """One lifetime moves a group a little, many move it far."""
    groups = [0] * 20 + [1] * 20 + [2] + [3] * 20
    lifetimes = [10.0, 14.0] * 10 + [9.0, 12.0] * 10 + [100.0] + [80.0, 120.0] * 10
    fitted = fit(groups, lifetimes, [True] * len(groups))
    assert fitted is not None
    assert fitted.mean < fitted.means[2] < math.log(100)
    assert fitted.means[3] == pytest.approx(math.log(math.sqrt(80 * 120)), abs=0.1)
    assert fitted.errors[2] > fitted.errors[3]


def test_a_lifetime_that_lasts_is_not_expected_to_have_ended() -> None:
    """The interval begins no earlier than now, also far beyond everything seen."""
    fitted = fit([0] * 5, [8.0, 9.0, 10.0, 11.0, 12.0], [True] * 5)
    assert fitted is not None
    for age in (1.0, 10.0, 30.0, 300.0):
        low, high = fitted.interval(0, age)
        assert age <= low <= high
    assert fitted.interval(-1, 0.0)[1] > fitted.interval(0, 0.0)[1]


def test_few_ended_lifetimes_are_not_enough() -> None:
    """A forecast from two would be a guess."""
    assert fit([0] * 9, [10.0] * 9, [True] * (LEAST - 1) + [False] * (10 - LEAST)) is None


def test_intervals_have_their_nominal_coverage() -> None:
    """90 % intervals, over three laws of which two are not the model's."""
    rng, total = np.random.default_rng(37), Counter[str]()
    for law in LAWS:
        for _ in range(20):
            total += fleet(rng, law)
    every = Counter({"all forecasts": sum(total[f"{law} forecasts"] for law in LAWS)})
    every["all covered"] = sum(total[f"{law} covered"] for law in LAWS)
    assert 0.83 <= coverage(every, "all") <= 0.96
