"""Bursts of errors: compared with past days, with other days at this hour, and with chance."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.strategies.stats.error_bursts import FEW, Bursts, ErrorBursts, ends_by_chance, excess

START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC
STEP = 5 * MINUTE
REQUESTS = 500.0


def one(number: float) -> NDArray[np.float64]:
    return np.array([number])


@pytest.mark.parametrize("expected", [0.05, 1.0, 5.0, 50.0])
def test_excess_is_about_standard_normal_for_few_errors_too(expected: float) -> None:
    """Against the tail of Poisson's distribution, with half of the probability of the number itself."""
    errors = np.arange(np.ceil(expected) + 1, expected + 12 * np.sqrt(expected) + 5)
    tail = stats.poisson.sf(errors, expected) + stats.poisson.pmf(errors, expected) / 2
    found = excess(errors, np.full(errors.shape, REQUESTS), np.full(errors.shape, expected / REQUESTS))
    assert found == pytest.approx(stats.norm.isf(tail), abs=0.35)


def test_fewer_errors_than_usual_have_a_negative_excess() -> None:
    found = excess(np.array([0.0, 2.0, 8.0]), np.full(3, 100.0), np.full(3, 0.08))
    assert found[0] == pytest.approx(-4.0)  # -sqrt(2 * 8)
    assert found[0] < found[1] < found[2] == 0.0


class Model:
    """One model with 500 requests in five minutes, whose usual error rate stays 1 %."""

    def __init__(self, days: int, errors: float | None = None) -> None:
        self.bursts = ErrorBursts(4, 0.05, 0.001, STEP)
        self.own = np.zeros(1, self.bursts.fields)
        self.over, self.slot = np.zeros(1, np.int64), START
        draw = np.random.default_rng(11)
        for _ in range(days * 288):
            count, near = float(draw.binomial(500, 0.01)), 0.01 + 0.001 * draw.standard_normal()
            self.see(count if errors is None else errors, near=near)

    def see(self, errors: float, highest: float = 0.0, near: float = 0.01) -> Bursts:
        self.slot += STEP
        return self.bursts.step(
            one(errors), one(REQUESTS), one(near), one(0.01), one(highest), self.slot, np.array([STEP]), self.over,
            self.own,
        )  # fmt: skip


def test_a_large_burst_counts_and_a_smaller_one_if_confirmed() -> None:
    """5 errors are usual; the peaks of days are at about 13."""
    model = Model(5)
    assert model.see(5.0).score[0] < 0.5
    assert model.see(17.0).score[0] < 1
    assert model.see(17.0).score[0] > 1
    model.slot += DAY
    assert model.see(40.0).score[0] > 1


def test_errors_that_were_constant_are_compared_with_chance() -> None:
    """After days with always five errors, ten are no burst; they were one when only past peaks counted."""
    model = Model(5, errors=5)
    assert float(model.own["spread"][0, 1, 0]) < 0.01
    assert model.see(10.0).score[0] < 0.5
    assert model.see(10.0).score[0] < 0.5
    assert model.see(30.0).score[0] > 1


def test_an_error_rate_of_other_days_at_this_hour_is_no_burst() -> None:
    model = Model(5)
    assert model.see(40.0, highest=0.08).score[0] < 0.5
    assert model.see(40.0, highest=0.02).score[0] > 0.9


def test_few_errors_and_a_first_day_have_no_bursts() -> None:
    """Even if no error was ever seen before."""
    assert Model(5, errors=0).see(FEW - 1.0).score[0] == -np.inf
    model = Model(0)
    for _ in range(12 * 6):
        model.see(5.0)
    assert model.see(300.0).score[0] == -np.inf


def test_a_rate_below_its_usual_daily_peaks_is_usual() -> None:
    """It is not while the peaks are unknown."""
    assert not Model(0).see(5.0).usual_rate[0]
    model = Model(3)
    assert model.see(5.0).usual_rate[0]
    assert not model.see(5.0, near=0.0134).usual_rate[0]


def test_windows_of_an_hour_have_lower_peaks_by_chance() -> None:
    """24 windows a day instead of 288: a burst of 14 is rarer, so its score is higher."""
    scores = []
    for window in (STEP, HOUR):
        bursts = ErrorBursts(4, 0.05, 0.001, window)
        own, over, time = np.zeros(1, bursts.fields), np.zeros(1, np.int64), np.array([window])
        for number in range(4 * DAY // window + 1):
            errors = 14.0 if number == 4 * DAY // window else 5.0
            slot = START + number * window
            found = bursts.step(one(errors), one(REQUESTS), one(0.01), one(0.01), one(0.0), slot, time, over, own)
        scores.append(float(found.score[0]))
    assert scores[0] < scores[1]


def test_the_ends_of_a_range_are_three_standard_errors_apart() -> None:
    """As error rates; 0 where the range is unknown, and between 0 and 1."""
    upper, error = np.arcsin(np.sqrt(np.array([0.04, 0.0, 1.0, 0.5]))), np.array([0.02, 0.02, 0.02, 0.0])
    upper = np.append(upper, -np.inf)
    highest, least = ends_by_chance(upper, np.append(error, 0.02))
    assert highest[:3] == pytest.approx([np.sin(upper[0] + 0.03) ** 2, np.sin(0.03) ** 2, 1.0])
    assert least[:3] == pytest.approx([np.sin(upper[0] - 0.03) ** 2, 0.0, np.cos(0.03) ** 2])
    assert highest[3] == least[3] == pytest.approx(0.5)
    assert (highest[4], least[4]) == (0.0, 0.0)
