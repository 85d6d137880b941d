"""The earth mover's distance: bounds against scipy on the raw observations."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import norm, wasserstein_distance

from bridge.domain.rule import StrategySpec
from bridge.strategies.histograms import histogram_pair
from bridge.strategies.registry import build
from bridge.strategies.wasserstein import distances
from tests.support.histograms import INF, NAN, batch, judged, of_samples

EXAMPLE: dict[str, Any] = {"min_effect": 0.05, "alpha": 0.01}
BOUNDS = (0.1, 0.2, 0.4, INF)
CALM, MOVED = [450.0, 900.0, 1000.0, 1000.0], [300.0, 700.0, 1000.0, 1000.0]
SUMS: dict[str, Any] = {"sum": [158.0], "reference_sum": [120.0]}


def test_the_distance_is_always_between_the_bounds() -> None:
    """300 random pairs in random buckets, half of them open above; never less than the difference of the means."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    closed = 0
    for _ in range(300):
        now, before = (rng.gamma(rng.uniform(0.5, 4), 1, rng.integers(20, 400)) for _ in range(2))
        top = [float(max(now.max(), before.max()))] if rng.random() < 0.5 else []
        bounds = [*np.unique(rng.uniform(0.1, 3, rng.integers(1, 20)).round(1)).tolist(), *top]
        bounds = sorted(set(bounds))
        one = of_samples(now, before, bounds)
        pair = histogram_pair(one, slice(None), 1)
        assert pair is not None
        least, most = distances(pair)
        exact = wasserstein_distance(now, before)
        assert least[0] - 1e-12 <= exact <= most[0] + 1e-12
        assert abs(pair.means[0] - pair.reference_means[0]) <= exact + 1e-12
        closed += bool(np.isfinite(most[0]))
    assert closed > 50


def test_the_bounds_leave_out_what_only_one_side_has() -> None:
    """By hand: with common bounds 0.2 and +Inf, a model's buckets are as wide as from 0 to 0.2."""
    rows = [[NAN, 90.0, 100.0, 100.0], [30.0, 90.0, 100.0, 100.0]]
    pair = histogram_pair(batch(rows, [[10.0, 60.0, 100.0, 100.0]] * 2, BOUNDS), slice(None), 1)
    assert pair is not None
    least, most = distances(pair)
    # 0-0.2: 0.9 up; 0.2-0.4: 0.4 up | 0-0.1: 0.3, 0.1-0.2: 0.8, 0.2-0.4: 0.4
    assert np.round(most, 12).tolist() == [0.26, 0.19]
    assert least.tolist() == [0.0, 0.0]


def test_exact_means_decide_where_there_are_sums() -> None:
    """38 ms slower with 1000 observations: past a limit of 20 ms, but not of 40; faster counts as well."""
    slower = batch([MOVED], [CALM], BOUNDS, **SUMS)
    faster = batch([CALM], [MOVED], BOUNDS, sum=[120.0], reference_sum=[158.0])
    for one in (slower, faster):
        assert judged("wasserstein", one, min_effect=0.02) == [("BREACHED", "NONE")]
        assert judged("wasserstein", one, min_effect=0.04) == [("OK", "NONE")]


def test_p_is_that_of_the_means_with_the_widest_spread_that_the_buckets_allow() -> None:
    """By hand: 100 of 0.2 to 0.4 around 0.3, and 100 around 0.26: 0.1 and 0.14 away at most."""
    rows = [[0.0, 0.0, 100.0, 100.0]]
    one = batch(rows, rows, BOUNDS, sum=[30.0], reference_sum=[26.0])
    p = build(StrategySpec("wasserstein", {"min_effect": 0.01, "n_min": 20})).analyse_batch(one, None).p
    assert p is not None
    assert p[0] == pytest.approx(2 * norm.sf(0.04 / np.sqrt(0.01 / 100 + 0.0196 / 100)), rel=1e-9)


def test_a_difference_of_few_observations_may_be_chance() -> None:
    """The same 38 ms with 100 observations each: p is above 1 in 10,000."""
    small = [[count / 10 for count in row] for row in (MOVED, CALM)]
    one = batch([small[0]], [small[1]], BOUNDS, sum=[15.8], reference_sum=[12.0])
    assert judged("wasserstein", one, min_effect=0.02) == [("OK", "NONE")]
    assert judged("wasserstein", one, min_effect=0.02, alpha=0.3) == [("BREACHED", "NONE")]


def test_without_sums_the_buckets_prove_it_or_cannot_tell() -> None:
    """All of 0.1 to 0.2 moved to 0.2 to 0.4 and beyond: at least the width between. Less is hidden in the buckets."""
    low, high = [0.0, 1000.0, 1000.0, 1000.0], [0.0, 0.0, 0.0, 1000.0]
    assert judged("wasserstein", batch([high], [low], BOUNDS), min_effect=0.19) == [("BREACHED", "NONE")]
    assert judged("wasserstein", batch([high], [low], BOUNDS), min_effect=0.21) == [("INCONCLUSIVE", "BLIND")]
    assert judged("wasserstein", batch([low], [low], BOUNDS), min_effect=0.05) == [("INCONCLUSIVE", "BLIND")]
    assert judged("wasserstein", batch([low], [low], BOUNDS), min_effect=0.2) == [("OK", "NONE")]


def test_one_model_without_a_sum_does_not_take_it_from_the_others() -> None:
    """Each model by the columns that it has."""
    one = batch([MOVED, MOVED], [CALM, CALM], BOUNDS, sum=[NAN, 158.0], reference_sum=[120.0, 120.0])
    assert judged("wasserstein", one, min_effect=0.03) == [("INCONCLUSIVE", "BLIND"), ("BREACHED", "NONE")]


def test_a_single_bucket_with_sums_is_enough() -> None:
    """The mean is known whatever the buckets are; its standard error assumes the widest spread."""
    one = batch([[1000.0]], [[1000.0]], (INF,), sum=[900.0], reference_sum=[100.0])
    assert judged("wasserstein", one, min_effect=0.5) == [("BREACHED", "NONE")]
    bare = batch([[1000.0]], [[1000.0]], (INF,))
    assert judged("wasserstein", bare, min_effect=0.5) == [("INCONCLUSIVE", "BLIND")]


def test_the_reason_is_reported_in_units() -> None:
    """Latencies in milliseconds, whatever the signal's unit is."""
    one = batch([MOVED], [CALM], BOUNDS, **SUMS)
    strategy = build(StrategySpec("wasserstein", {"min_effect": 0.02}))
    assert strategy.describe(one, 0, strategy.analyse_batch(one, None)) == (
        "mean of latency +38 ms, 158 ms instead of 120 ms; moved by at least 38 ms (limit 20 ms), p 8.7e-09"
        " (limit 0.0001); 1000 observations, 1000 in the reference"
    )


def test_it_needs_a_limit() -> None:
    """The least effect in the signal's unit has no default."""
    with pytest.raises(ValidationError, match="Field required"):
        build(StrategySpec("wasserstein", {}))
