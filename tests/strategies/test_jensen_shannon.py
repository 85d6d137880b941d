"""The Jensen-Shannon divergence against scipy, and against its distribution."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2

from bridge.domain.rule import StrategySpec
from bridge.strategies.registry import build
from tests.support.histograms import INF, batch, judged

EXAMPLE: dict[str, Any] = {"min_effect": 0.01, "alpha": 0.01}
BOUNDS = (0.1, 0.2, 0.4, INF)
CALM, MOVED = [250.0, 500.0, 750.0, 1000.0], [100.0, 200.0, 400.0, 1000.0]


def test_divergence_and_p_are_those_of_scipy() -> None:
    """In bits; 200 random pairs, with half an observation added to each of eight cells."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    counts = rng.multinomial([[1000], [5000]], rng.dirichlet(np.full(8, 20.0), (2, 200)))
    rows = counts.cumsum(axis=2).tolist()
    verdicts = build(StrategySpec("jensen_shannon", EXAMPLE)).analyse_batch(
        batch(rows[0], rows[1], (*range(1, 8), INF)), None
    )
    expected = jensenshannon(counts[0] + 0.5, counts[1] + 0.5, base=2, axis=1) ** 2
    assert verdicts.p is not None
    assert np.allclose(verdicts.statistic, expected, rtol=0, atol=1e-12)
    p = chi2.sf(8 * np.log(2) * expected / (1 / 1000 + 1 / 5000), 7)
    assert np.allclose(verdicts.p, p, rtol=0, atol=1e-10)


def test_it_must_be_past_its_limit_and_no_chance() -> None:
    """0.1 bit with 1000 observations; with 20 the same shares may be chance."""
    one = batch([MOVED], [CALM], BOUNDS)
    assert judged("jensen_shannon", one) == [("BREACHED", "NONE")]
    assert judged("jensen_shannon", one, min_effect=0.15) == [("OK", "NONE")]
    few = batch([[2.0, 4.0, 8.0, 20.0]], [[5.0, 10.0, 15.0, 20.0]], BOUNDS)
    assert judged("jensen_shannon", few, n_min=20) == [("OK", "NONE")]


def test_histograms_without_anything_in_common_are_almost_one_bit_apart() -> None:
    """The upper end of the scale."""
    one = batch([[500.0, 1000.0, 1000.0, 1000.0]], [[0.0, 0.0, 500.0, 1000.0]], BOUNDS)
    verdicts = build(StrategySpec("jensen_shannon", EXAMPLE)).analyse_batch(one, None)
    assert verdicts.statistic[0] == pytest.approx(0.99, abs=0.01)


def test_the_reason_has_the_unit_bits() -> None:
    """Divergence, p and their limits."""
    one = batch([MOVED], [CALM], BOUNDS, sum=[158.0], reference_sum=[120.0])
    strategy = build(StrategySpec("jensen_shannon", {}))
    assert strategy.describe(one, 0, strategy.analyse_batch(one, None)) == (
        "mean of latency +38 ms, 158 ms instead of 120 ms; Jensen-Shannon divergence 0.103 bit (limit 0.02), p 1.2e-61"
        " (limit 0.0001); 1000 observations, 1000 in the reference"
    )
