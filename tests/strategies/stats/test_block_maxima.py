"""Block maxima: scores against daily peaks, compared with formulas."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bridge.domain.times import DAY, HOUR
from bridge.strategies.stats.block_maxima import BOUND, LIFT, MEMORY, BlockMaxima, quantile

START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC


Floats = NDArray[np.float64]


def drawn() -> int:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    return seed


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


def test_one_peak_has_a_bounded_effect() -> None:
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


def test_peaks_of_noise_exceed_the_limit_with_its_probability() -> None:
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
