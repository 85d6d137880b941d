"""The population stability index: by hand and against its distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from bridge.domain.rule import StrategySpec
from bridge.strategies.registry import build
from tests.support.histograms import INF, batch, judged

EXAMPLE: dict[str, Any] = {"min_effect": 0.1, "alpha": 0.01}
BOUNDS = (0.1, 0.2, 0.4, INF)
CALM, MOVED = [250.0, 500.0, 750.0, 1000.0], [100.0, 200.0, 400.0, 1000.0]


def test_index_and_p_are_those_of_the_formula() -> None:
    """With half an observation added to each of four cells."""
    p, q = np.array([100.5, 100.5, 200.5, 600.5]) / 1002, np.array([250.5] * 4) / 1002
    expected = float(((p - q) * np.log(p / q)).sum())
    verdicts = build(StrategySpec("psi", EXAMPLE)).analyse_batch(batch([MOVED], [CALM], BOUNDS), None)
    assert verdicts.p is not None
    assert verdicts.statistic[0] == pytest.approx(expected, rel=1e-12)
    assert verdicts.p[0] == pytest.approx(chi2.sf(expected / 0.002, 3), rel=1e-9)


def test_it_must_be_past_its_limit_and_no_chance() -> None:
    """The same index from 50 observations may be chance, and it does not exceed a limit of 0.5."""
    one = batch([MOVED], [CALM], BOUNDS)
    assert judged("psi", one) == [("BREACHED", "NONE")]
    assert judged("psi", one, min_effect=0.7) == [("OK", "NONE")]
    few = batch([[2.0, 4.0, 8.0, 20.0]], [[5.0, 10.0, 15.0, 20.0]], BOUNDS)
    assert judged("psi", few, n_min=20) == [("OK", "NONE")]


def test_an_empty_cell_is_not_infinite() -> None:
    """It counts as half an observation."""
    one = batch([[0.0, 500.0, 750.0, 1000.0]], [[500.0, 500.0, 750.0, 1000.0]], BOUNDS)
    verdicts = build(StrategySpec("psi", EXAMPLE)).analyse_batch(one, None)
    assert 3 < verdicts.statistic[0] < 8
    assert verdicts.code.tolist() == [1]


def test_one_cell_shows_nothing() -> None:
    """As for chi-square."""
    assert judged("psi", batch([[0.0, 0.0, 0.0, 1000.0]], [[0.0, 0.0, 0.0, 500.0]], BOUNDS)) == [
        ("INCONCLUSIVE", "BLIND")
    ]


def test_the_reason_has_the_index() -> None:
    """Index, p and their limits."""
    one = batch([MOVED], [CALM], BOUNDS, sum=[158.0], reference_sum=[120.0])
    strategy = build(StrategySpec("psi", {}))
    assert strategy.describe(one, 0, strategy.analyse_batch(one, None)) == (
        "mean of latency +38 ms, 158 ms instead of 120 ms; population stability index 0.59 (limit 0.2), p 1.2e-63"
        " (limit 0.0001); 1000 observations, 1000 in the reference"
    )


def test_buckets_that_are_merged_add_nothing() -> None:
    """Of histograms of different sizes, too: a bound with nothing around it changes neither index nor p."""
    bare = batch([[400.0, 1000.0]], [[60.0, 100.0]], (1, INF))
    more = batch([[0.0, 400.0, 400.0, 1000.0]], [[0.0, 60.0, 60.0, 100.0]], (0.5, 1, 2, INF))
    for name in ("psi", "jensen_shannon"):
        strategy = build(StrategySpec(name, {}))
        one, other = strategy.analyse_batch(bare, None), strategy.analyse_batch(more, None)
        assert other.statistic.tolist() == one.statistic.tolist()
        assert one.p is not None
        assert other.p is not None
        assert other.p.tolist() == one.p.tolist()
