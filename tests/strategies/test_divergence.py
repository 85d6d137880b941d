"""Divergences of histograms that are distributed as chi-square. test_psi.py and test_jensen_shannon.py have both."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.rule import StrategySpec
from bridge.strategies.registry import build
from tests.support.histograms import INF, batch

BOUNDS = (1.0, 2.0, 3.0, INF)


@pytest.mark.parametrize("name", ["psi", "jensen_shannon"])
def test_equal_distributions_are_rarely_significant(name: str) -> None:
    """p is at most alpha for about alpha of them, however few observations there are."""
    draw = np.random.default_rng(24)
    strategy = build(StrategySpec(name, {"min_effect": 0.0, "alpha": 0.05}))
    shares = [0.4, 0.3, 0.2, 0.1]
    current, reference = (draw.multinomial(200, shares, size=2000).cumsum(1).astype(float) for _ in range(2))
    verdicts = strategy.analyse_batch(batch(current.tolist(), reference.tolist(), BOUNDS), None)
    assert verdicts.p is not None
    assert 0.03 < float((verdicts.p <= 0.05).mean()) < 0.07


@pytest.mark.parametrize("name", ["psi", "jensen_shannon"])
def test_equal_histograms_do_not_diverge(name: str) -> None:
    """Of any size; exchanging the two changes nothing."""
    strategy = build(StrategySpec(name, {"min_effect": 0.0}))
    one, other = [100.0, 200.0, 300.0, 400.0], [10.0, 20.0, 200.0, 400.0]
    verdicts = strategy.analyse_batch(batch([one, one, other], [one, other, one], BOUNDS), None)
    assert verdicts.statistic[0] == pytest.approx(0.0, abs=1e-12)
    assert verdicts.statistic[1] == pytest.approx(verdicts.statistic[2])
    assert verdicts.statistic[1] > 0.05


def test_the_reason_has_divergence_and_p_with_their_limits() -> None:
    strategy = build(StrategySpec("psi", {"min_effect": 0.1, "alpha": 0.01}))
    one = batch([[10.0, 20.0, 200.0, 400.0]], [[100.0, 200.0, 300.0, 400.0]], BOUNDS)
    text = strategy.describe(one, 0, strategy.analyse_batch(one, None))
    assert "population stability index " in text
    assert "(limit 0.1), p " in text
    assert " (limit 0.01)" in text
