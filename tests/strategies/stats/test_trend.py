"""Linear trends with autocorrelated noise: fits and bounds, compared with scipy."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats

from bridge.strategies.stats.trend import HIGHEST, LEAST, autocorrelation, fit, student

QUANTILES = student(0.975, 60)


def test_quantiles_are_those_of_student() -> None:
    """The first is infinite: no degree of freedom bounds nothing."""
    assert QUANTILES[0] == np.inf
    assert QUANTILES[1:] == pytest.approx(stats.t.ppf(0.975, np.arange(1, 61)), rel=1e-3)


def test_a_line_is_found_exactly() -> None:
    """Also with gaps; series are independent of each other."""
    x = np.arange(20.0)
    y = np.stack([3 + 2 * x, 5 - x])
    has = np.ones((2, 20), np.bool_)
    has[1, 3:7] = False
    y[1, 3:7] = 1e9
    lines = fit(x, y, has, QUANTILES)
    assert lines.level == pytest.approx([3, 5])
    assert lines.slope == pytest.approx([2, -1])
    assert lines.margin(10.0) == pytest.approx([0, 0], abs=1e-6)
    first, last = lines.crossing(15.0)
    assert (first[0], last[0]) == pytest.approx((6.0, 6.0))


def test_the_slope_of_noise_is_that_of_scipy() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    x = np.linspace(0, 10, 40)
    y = 1 + 0.5 * x + np.random.default_rng(seed).normal(size=40)
    lines = fit(x, y[None], np.ones((1, 40), np.bool_), QUANTILES)
    found = stats.linregress(x, y)
    assert lines.slope[0] == pytest.approx(found.slope)
    assert lines.level[0] == pytest.approx(found.intercept)


def test_few_points_are_no_line() -> None:
    x = np.arange(20.0)
    has = np.zeros((2, 20), np.bool_)
    has[0, : LEAST - 1] = has[1, :LEAST] = True
    lines = fit(x, np.tile(x, (2, 1)), has, QUANTILES)
    assert lines.quantile[0] == 0
    assert lines.quantile[1] > 0


def test_a_flat_series_never_crosses() -> None:
    """Fieller's bounds are infinite where the slope may be 0."""
    y = np.tile([1.0, -1.0], 20)[None]
    lines = fit(np.arange(40.0), y, np.ones((1, 40), np.bool_), QUANTILES)
    assert np.isnan(lines.crossing(5.0)).all()


def test_autocorrelation_widens_the_bounds() -> None:
    draw = np.random.default_rng(36)
    noise = np.zeros((200, 300))
    for at in range(1, 300):
        noise[:, at] = 0.8 * noise[:, at - 1] + 0.6 * draw.standard_normal(200)
    has = np.ones(noise.shape, np.bool_)
    r = autocorrelation(noise, has, (noise**2).sum(1), np.full(200, 300.0))
    assert 0.74 < r.mean() < 0.86
    assert (r <= HIGHEST).all()
    white = fit(np.arange(300.0), draw.standard_normal(noise.shape), has, QUANTILES)
    assert fit(np.arange(300.0), noise, has, QUANTILES).margin(300.0).mean() > 2 * white.margin(300.0).mean()


def test_a_negative_correlation_counts_as_none() -> None:
    residuals = np.tile([1.0, -1.0], 50)[None]
    r = autocorrelation(residuals, np.ones((1, 100), np.bool_), np.array([100.0]), np.array([100.0]))
    assert r[0] == 0
