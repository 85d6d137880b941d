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
from bridge.strategies.stats.block_maxima import (
    BOUND,
    LEAST_SPREAD,
    LIFT,
    MEMORY,
    SHAPES,
    TYPICAL,
    UNSURE,
    WORTH,
    BlockMaxima,
    normal_peaks,
    quantile,
)

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


def widened(shape: float, days: int, p: float = 0.01) -> float:
    """Return the factor of the spread: the estimate of the shape is shrunk, and the limit is a quantile."""
    shrunk = (days * shape + WORTH * TYPICAL) / (days + WORTH)
    limits = [quantile(p, one) for one in SHAPES.tolist()]
    return float(np.interp(shrunk, SHAPES, limits)) / quantile(p, 0.0)


def test_scores_are_in_spreads_of_the_peaks_of_days() -> None:
    """Five days by hand, with equal weights while there are few; the limit depends on the weight of the tail."""
    numbers = np.tile(np.linspace(0.0, 3.0, 24), (5, 1)) + np.array([0.0, 0.1, 0.3, 0.2, 0.1])[:, None]
    score, _, own = peaks(numbers)
    wide = float(own["hour_spread"][0, 0, 0])
    highest = numbers.max(axis=1)
    spread = math.hypot(highest.std(), wide / 5)
    factor = 1.2 * widened(math.log(spread / wide) / math.log(24), 5)
    assert score == pytest.approx((9.0 - highest.mean()) / (spread * factor), rel=1e-5)


def test_a_first_day_is_judged_by_the_peaks_of_its_hours() -> None:
    """Lifted by the logarithm of 24, as Gumbel's maxima are; no hour is an outlier. The first ones are uncertain."""
    numbers = np.random.default_rng(drawn()).uniform(size=(1, 10))
    for hours, factor in ((10, 1.0), (8, 1.0), (7, UNSURE), (4, UNSURE)):
        known = numbers[:, :hours]
        least = LEAST_SPREAD * known.mean() if factor > 1 else 0.0
        spread = factor * max(known.std(), least)
        score, _, _ = peaks(known)
        assert score == pytest.approx((9.0 - known.mean() - LIFT * spread) / (spread * widened(0.0, 1)), rel=1e-4)
    assert math.isnan(peaks(numbers[:, :3])[0])


def test_later_days_need_more_hours_than_the_first() -> None:
    """Two hours each night are known after the fourth."""
    maxima, values = BlockMaxima(1, 0.01), np.ones((1, 1, 2))
    own, known = np.zeros(1, maxima.fields), []
    for day in range(6):
        for hour in range(2):
            score = maxima.step(values, START + day * DAY + hour * HOUR, own).score
        known.append(not np.isnan(score).any())
    assert known == [False] * 4 + [True] * 2


def test_constant_peaks_do_not_bound_what_is_learnt() -> None:
    """After days of zeros, the first other peak is learnt at once: a bound of 0 spreads would stay 0."""
    for days, hours in ((1, 30), (9, 0)):
        _, maxima, own = peaks(np.zeros((days, 24)))
        at = START + days * DAY + HOUR
        for hour in range(hours + 25):
            maxima.step(np.array([[[5.0, -5.0]]]), at + hour * HOUR, own)
        assert own["hour_spread"][0, 0, 0] > 1.0
        assert own["spread"][0, 0, 0] > 1.0


def test_one_peak_has_a_bounded_effect() -> None:
    """A day of ten thousand moves the mean by a MEMORY-th of BOUND spreads."""
    numbers = np.random.default_rng(drawn()).gumbel(size=(40, 24))
    _, maxima, own = peaks(numbers)
    before = own.copy()
    maxima.step(np.array([[[1e4, -1e4]]]), START + 970 * HOUR, own)
    maxima.step(np.array([[[0.0, 0.0]]]), START + 985 * HOUR, own)
    spread = math.hypot(float(before["spread"][0, 0, 0]), float(own["hour_spread"][0, 0, 0]) / 40)
    assert own["mean"][0, 0, 0] - before["mean"][0, 0, 0] == pytest.approx(BOUND * spread / MEMORY, rel=0.02)


@pytest.mark.parametrize("count", [24, 288, 1440])
def test_peaks_of_normal_numbers_are_those_of_their_distribution(count: int) -> None:
    """Against the integral of the distribution of the highest of `count` numbers; Gumbel's is its limit."""
    grid = np.linspace(-5.0, 10.0, 15_001)
    density = count * stats.norm.pdf(grid) * stats.norm.cdf(grid) ** (count - 1)
    mean = float(np.trapezoid(grid * density, grid))
    deviation = math.sqrt(float(np.trapezoid((grid - mean) ** 2 * density, grid)))
    found = normal_peaks(count)
    assert found.mean == pytest.approx(mean, rel=0.03)
    assert found.spread == pytest.approx(deviation, rel=0.1)
    assert found.score(np.array([found.mean, found.mean + found.spread])) == pytest.approx([0.0, 1.0])


def test_peaks_of_one_number_are_taken_as_those_of_two() -> None:
    """A window of a day."""
    assert normal_peaks(1) == normal_peaks(2)


def test_large_values_do_not_overflow() -> None:
    """Spreads are kept in 32 bits; their squares would not fit."""
    numbers = 1e29 * np.random.default_rng(drawn()).gumbel(size=(3, 24))
    score, _, own = peaks(numbers)
    assert math.isfinite(score)
    assert np.isfinite(own["spread"]).all()


def test_a_lone_peak_has_its_own_probability_shared_by_the_directions() -> None:
    """The score that stands alone is a quantile of the tail; heavy tails raise it more than the limit."""
    numbers = np.random.default_rng(drawn()).gumbel(size=(4, 12, 2, 1))
    for sides, p in ((slice(0, 1), 0.001), (slice(0, 2), 0.0005)):
        maxima = BlockMaxima(2, 0.01, [0.001, 0.0])
        own = np.zeros(4, maxima.fields)
        for hour in range(12):
            values = np.concatenate([numbers[:, hour], -numbers[:, hour]], 2)[:, :, sides]
            found = maxima.step(values, START + hour * HOUR, own, sides)
        shrunk = WORTH * TYPICAL / (1 + WORTH)
        expected = np.interp(shrunk, SHAPES, [quantile(p, one) for one in SHAPES.tolist()])
        expected /= widened(0.0, 1)
        assert found.lone[:, 0] == pytest.approx(np.full_like(found.lone[:, 0], expected))
        assert np.isinf(found.lone[:, 1]).all()


def test_a_statistic_with_waves_takes_the_tail_of_another() -> None:
    """Waves widen the peaks of hours, and hide how heavy the tail is."""
    draw, days = np.random.default_rng(42), 20
    noise = draw.standard_t(3, (days * 24, 50))
    wave = 20 * np.sin(2 * np.pi * np.arange(days * 24) / 24)[:, None]
    lone = []
    for share in ([0, 1], [1, 1]):
        maxima = BlockMaxima(2, 0.01, [0.001, 0.001], share)
        own = np.zeros(50, maxima.fields)
        for hour in range(days * 24):
            both = np.stack([noise[hour] + wave[hour], noise[hour]], 1)[:, :, None]
            found = maxima.step(both, START + hour * HOUR, own, slice(0, 1))
        lone.append(found.lone[:, 0, 0])
        assert (found.lone[:, 1, 0] >= maxima.limit).all()
    assert (lone[1] >= lone[0]).all()
    assert np.median(lone[1]) > np.median(lone[0])


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
    draw, models, over = np.random.default_rng(43), 400, 0
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
