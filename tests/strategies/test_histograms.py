"""Histogram signals with strategies that use their mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bridge.domain.histogram import means
from bridge.domain.rule import StrategySpec
from bridge.domain.verdict import Code
from bridge.strategies.registry import build
from tests.support.histograms import INF, NAN, batch

BOUNDS = (0.1, 0.2, 0.4, INF)
CALM, GONE = [40.0, 80.0, 100.0, 100.0], [NAN] * 4


def test_a_threshold_sees_the_mean() -> None:
    """Exact with a sum, from bucket midpoints without one, none without buckets."""
    one = batch([CALM, CALM, CALM, GONE], [CALM] * 4, BOUNDS, sum=[12.0, 21.0, NAN, NAN])
    strategy = build(StrategySpec("threshold", {"max": 0.2}))
    result = strategy.analyse_batch(one, strategy.new_state(4))
    assert result.statistic.tolist() == pytest.approx([0.12, 0.21, 0.14, NAN], nan_ok=True)
    assert result.code.tolist() == [Code.OK, Code.BREACHED, Code.OK, Code.INCONCLUSIVE]


def test_auto_learns_the_mean() -> None:
    """Two weeks of 120 ms, then twice as slow: detected within hours, and described as a latency."""
    strategy = build(StrategySpec("auto", {}))
    state, rng = strategy.new_state(1), np.random.default_rng(1)
    fired, told = list[int](), ""
    for slot in range(15 * 288):
        mean = (0.12 if slot < 14 * 288 else 0.24) * float(np.exp(rng.normal(0, 0.03)))
        now = batch([CALM], [CALM], BOUNDS, sum=[100 * mean])
        one = replace(now, slot=1_700_000_100_000 + slot * 300_000)
        result = strategy.analyse_batch(one, state)
        if result.code[0] == Code.BREACHED and not fired:
            told = strategy.describe(one, 0, result)
        if result.code[0] == Code.BREACHED:
            fired.append(slot)
    assert 14 * 288 <= fired[0] < 14 * 288 + 36
    assert told.startswith("latency 2"), told  # 2.. ms
    assert " ms is higher than usual highs of 1" in told or " ms rose more steeply" in told, told


def test_means_of_buckets_alone() -> None:
    """By hand: missing bounds are skipped; observations above the last bound count as that bound."""
    bounds = np.array([-1.0, 1.0, 3.0, INF])
    rows = np.array([[0, 2, 2, 4], [2, 2, 4, 4], [NAN, NAN, 4, 4], [0, 0, 0, 0.0]])
    assert means(rows, bounds).tolist() == pytest.approx([1.5, 0.5, 1.5, NAN], nan_ok=True)
    assert np.isnan(means(rows[:, :3], bounds[:3])).all()
    assert np.isnan(means(rows[:, 3:], bounds[3:])).all()
    assert np.isnan(means(rows, None)).all()
