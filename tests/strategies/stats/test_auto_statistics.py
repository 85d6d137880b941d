"""Statistics of auto: daily peaks, range by hour, seasonal baseline, evidence of counts; against formulas."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.strategies.stats.block_maxima import BOUND, LIFT, MEMORY, BlockMaxima, quantile
from bridge.strategies.stats.hourly_range import LASTS, HourlyRange
from bridge.strategies.stats.seasonal_baseline import SeasonalBaseline
from bridge.strategies.stats.share_cusum import log_ratios

START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC
Floats = NDArray[np.float64]


def drawn() -> int:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    return seed


@pytest.mark.parametrize(("index", "ratio"), [(0, 2.0), (1, 1.3), (2, 0.5)])
def test_the_evidence_is_the_binomial_likelihood_ratio(index: int, ratio: float) -> None:
    """Compared with scipy, for a multiple of the usual odds."""
    odds = ratio * 0.05 / 0.95
    expected = stats.binom.logpmf(9, 60, odds / (1 + odds)) - stats.binom.logpmf(9, 60, 0.05)
    found = log_ratios(np.array([9.0]), np.array([60.0]), np.array([0.05]))[0, index]
    assert found == pytest.approx(expected, abs=1e-12)


def peaks(numbers: Floats, p: float = 0.01) -> tuple[float, BlockMaxima, Any]:
    """Return the score of 9.0 after days of hourly numbers (days, 24), with maxima and state."""
    maxima = BlockMaxima(1, p)
    own = np.zeros(1, maxima.fields)
    for position, value in enumerate([*numbers.ravel().tolist(), 9.0]):
        found = maxima.step(np.array([[[value, -value]]]), START + position * HOUR, own)
    return float(found.score[0, 0, 0]), maxima, own


def test_scores_are_in_spreads_of_the_peaks_of_days() -> None:
    """Five days by hand, with equal weights while there are few; tails lighter than those of hours add nothing."""
    numbers = np.tile(np.linspace(0.0, 3.0, 24), (5, 1)) + np.array([0.0, 0.1, 0.3, 0.2, 0.1])[:, None]
    score, _, own = peaks(numbers)
    mean, variance, wide = 3.0, 0.0, float(own["hour_variance"][0, 0, 0])
    highest = numbers.max(axis=1)
    mean, variance = highest.mean(), highest.var()
    assert score == pytest.approx((9.0 - mean) / (math.sqrt(variance + wide / 25) * 1.2), rel=1e-6)


def test_a_first_day_is_judged_by_the_peaks_of_its_hours() -> None:
    """Lifted by the logarithm of 24, as Gumbel's maxima are; unknown before eight hours. No hour is an outlier."""
    numbers = np.random.default_rng(drawn()).uniform(size=(1, 10))
    score, _, _ = peaks(numbers)
    assert score == pytest.approx((9.0 - numbers.mean() - LIFT * numbers.std()) / numbers.std(), rel=1e-6)
    assert math.isnan(peaks(numbers[:, :7])[0])


def test_one_peak_teaches_a_bounded_lesson() -> None:
    """A day of a million moves the mean by a MEMORY-th of BOUND spreads."""
    numbers = np.random.default_rng(drawn()).gumbel(size=(40, 24))
    _, maxima, own = peaks(numbers)
    before = own.copy()
    maxima.step(np.array([[[1e6, -1e6]]]), START + 970 * HOUR, own)
    maxima.step(np.array([[[0.0, 0.0]]]), START + 985 * HOUR, own)
    spread = math.sqrt(float(before["variance"][0, 0, 0]) + float(own["hour_variance"][0, 0, 0]) / 40**2)
    assert own["mean"][0, 0, 0] - before["mean"][0, 0, 0] == pytest.approx(BOUND * spread / MEMORY, rel=0.02)


def test_a_year_of_peaks_is_still_counted() -> None:
    """Beyond 255 days, whose square does not fit into 16 bits."""
    score, _, own = peaks(np.tile([[0.0, 1.0]], (300, 12)))
    assert int(own["days"][0, 0, 0]) == 300
    assert score > 0


@pytest.mark.parametrize("p", [1e-3, 0.01, 0.05])
@pytest.mark.parametrize("shape", [0.0, 0.1, 0.3])
def test_limits_are_quantiles_of_extreme_values(p: float, shape: float) -> None:
    """In standard deviations from the mean, compared with scipy, whose shape has the other sign."""
    law = stats.genextreme(-shape)
    assert quantile(p, shape) == pytest.approx((law.isf(p) - law.mean()) / law.std(), rel=1e-6)


def test_peaks_of_quiet_days_exceed_the_limit_as_rarely_as_said() -> None:
    """Maxima of independent Gaussian numbers, lighter than Gumbel's: about p, once two weeks of peaks are known."""
    draw, models, over = np.random.default_rng(drawn()), 400, 0
    maxima = BlockMaxima(1, 0.02)
    own = np.zeros(models, maxima.fields)
    for day in range(40):
        above = np.zeros(models, np.bool_)
        for hour in range(24):
            numbers = draw.standard_normal((models, 12)).max(axis=1)
            score = maxima.step(np.stack([numbers, -numbers], 1)[:, None], START + day * DAY + hour * HOUR, own).score
            above |= score[:, 0, 0] > maxima.limit
        over += int(above.sum()) if day >= 14 else 0
    share = over / (26 * models)
    assert 0.005 < share < 0.03  # 0.02, and what forty days cannot tell


def test_a_level_of_the_last_days_is_no_news() -> None:
    """By hour of the day, beyond a margin; a bound lasts for nine days, and hours marked as odd do not widen it."""
    hours = HourlyRange()
    own = np.zeros(1, list(hours.fields))

    def news(value: float, at: int, *, odd: bool = False) -> bool:
        found = hours.step(np.array([value]), np.array([0.1]), START + at * HOUR, np.array([DAY]), own)
        hours.mark(np.array([odd]), own)
        return bool(found.level[0, 0])

    assert news(1.0, 0)  # nothing is known of this hour
    news(0.0, 1)
    assert not news(1.05, 24)
    news(0.0, 25)
    assert news(1.2, 48, odd=True)
    news(0.0, 49)
    assert news(1.2, 72)
    news(0.0, 73)
    for day in range(4, 4 + LASTS):
        assert not news(1.2, 24 * day)
        news(0.0, 24 * day + 1)


def test_surprises_of_correlated_noise_are_independent_and_of_size_one() -> None:
    """AR(0.8) around a daily wave: after some days, innovations in units of their standard deviation."""
    draw, models = np.random.default_rng(drawn()), 200
    habits = SeasonalBaseline()
    own = np.zeros(models, list(habits.fields))
    noise, found = np.zeros(models), []
    for position in range(20 * 288):
        slot = START + position * 5 * MINUTE
        noise = 0.8 * noise + 0.6 * draw.standard_normal(models)
        wave = 5 * math.sin(2 * math.pi * position / 288)
        surprise = habits.step(100 + wave + noise, slot, np.full(models, 5 * MINUTE), own)
        if position >= 14 * 288:
            found.append(surprise.z)
    z = np.array(found)
    assert abs(float(z.std()) - 1) < 0.08
    assert abs(float(np.mean([stats.pearsonr(z[:-1, item], z[1:, item])[0] for item in range(50)]))) < 0.06


def test_a_level_that_wanders_under_noise_does_not_add_up_to_a_shift() -> None:
    """The variance of means of three hours is below twice that of independent noise; whitening alone leaves 3.5."""
    draw, models = np.random.default_rng(drawn()), 100
    habits = SeasonalBaseline()
    own = np.zeros(models, list(habits.fields))
    level, found = np.zeros(models), []
    for position in range(21 * 288):
        level = 0.9995 * level + 0.005 * draw.standard_normal(models)
        values = level + 0.02 * draw.standard_normal(models)
        z = habits.step(values, START + position * 5 * MINUTE, np.full(models, 5 * MINUTE), own).z
        if position >= 14 * 288:
            found.append(z)
    means = np.array(found).reshape(-1, 36, models).sum(1) / math.sqrt(36)
    assert float(means.var()) < 2.0
