"""Kolmogorov-Smirnov on buckets: bounds against scipy on the raw observations."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from scipy.stats import ks_2samp, kstwobign

from bridge.domain.rule import StrategySpec
from bridge.strategies.histograms import histogram_pair
from bridge.strategies.ks import distances
from bridge.strategies.registry import build
from tests.support.histograms import INF, batch, judged, of_samples

EXAMPLE: dict[str, Any] = {"alpha": 0.01, "min_effect": 0.2}
FINE = tuple(np.arange(1, 100) / 100)


def test_the_distance_is_always_between_the_bounds() -> None:
    """300 random pairs of samples in random buckets: the bounds enclose scipy's distance of the samples."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    for _ in range(300):
        now = rng.gamma(rng.uniform(0.5, 4), 1, rng.integers(20, 400))
        before = rng.gamma(rng.uniform(0.5, 4), 1, rng.integers(20, 400))
        if rng.random() < 0.3:  # many are alike
            now, before = now.round(1), before.round(1)
        bounds = np.unique(rng.uniform(0.1, 6, rng.integers(1, 20)).round(1)).tolist()
        pair = histogram_pair(of_samples(now, before, bounds), slice(None), 1)
        assert pair is not None
        least, most = distances(pair)
        exact = ks_2samp(now, before).statistic
        assert least[0] - 1e-12 <= exact <= most[0] + 1e-12


def test_with_a_bucket_for_every_value_it_is_the_test_itself() -> None:
    """Statistic as scipy's, and p by the limiting distribution."""
    rng = np.random.default_rng(8)
    now, before = rng.integers(0, 40, 500), rng.integers(0, 44, 700)
    one = of_samples(now, before, list(range(44)))
    verdicts = build(StrategySpec("ks", EXAMPLE)).analyse_batch(one, None)
    exact = ks_2samp(now, before).statistic
    assert verdicts.p is not None
    assert abs(verdicts.statistic[0] - exact) < 1e-13
    assert abs(verdicts.p[0] - kstwobign.sf(exact * np.sqrt(500 * 700 / 1200))) < 1e-10


def test_it_is_breached_healthy_or_blind() -> None:
    """Proven by the bounds, too small even at most, or hidden in one wide bucket."""
    fine = np.arange(1, 101) * 10.0
    apart = np.minimum(fine * 1.5, 1000.0)
    even, shifted = fine.tolist(), apart.tolist()
    near = batch([even], [even], (*FINE, INF))
    assert judged("ks", near) == [("OK", "NONE")]
    assert judged("ks", batch([shifted], [even], (*FINE, INF))) == [("BREACHED", "NONE")]
    wide = batch([[100.0, 900.0, 1000.0]], [[100.0, 900.0, 1000.0]], (0.1, 0.9, INF))
    assert judged("ks", wide) == [("INCONCLUSIVE", "BLIND")]


def test_a_distance_that_does_not_matter_is_healthy_however_sure_it_is() -> None:
    """5 % of a million: significant, but below a limit of 10 %."""
    even = np.arange(1, 101) * 10_000.0
    apart = np.minimum(even + 40_000.0, 1e6).tolist()
    one = batch([apart], [even.tolist()], (*FINE, INF))
    assert judged("ks", one, min_effect=0.1) == [("OK", "NONE")]
    assert judged("ks", one, min_effect=0.03) == [("BREACHED", "NONE")]


def test_what_is_below_the_first_bound_counts() -> None:
    """Half of one and none of the other may lie at its beginning."""
    pair = histogram_pair(batch([[50.0, 100.0]], [[60.0, 100.0]], (1.0, INF)), slice(None), 1)
    assert pair is not None
    least, most = distances(pair)
    assert np.round([least[0], most[0]], 12).tolist() == [0.1, 0.6]


def test_the_reason_names_both_bounds() -> None:
    """Both bounds, p and the numbers of observations."""
    even, apart = np.arange(1, 101) * 10.0, np.minimum(np.arange(1, 101) * 15.0, 1000.0)
    one = batch([apart.tolist()], [even.tolist()], (*FINE, INF), sum=[300.0], reference_sum=[500.0])
    strategy = build(StrategySpec("ks", {}))
    assert strategy.describe(one, 0, strategy.analyse_batch(one, None)) == (
        "mean of latency -200 ms, 300 ms instead of 500 ms; distance between the distributions 0.33 to 0.34"
        " (limit 0.1), p 1e-47 (limit 0.0001); 1000 observations, 1000 in the reference"
    )
