"""Histograms of thousands of models under `fdr`, as the engine judges them."""

from __future__ import annotations

import numpy as np

from bridge.domain.rule import Rule, SignalQuery, StrategySpec
from bridge.domain.verdict import Code
from bridge.engine.evaluation.judge import judge
from bridge.strategies.registry import build
from tests.support.histograms import INF, batch

MODELS, DRIFTING, SLOTS = 5_000, 100, 20
CELLS = np.full(10, 0.1)
MOVED = np.linspace(0.07, 0.13, 10)


def test_of_5000_models_by_their_histograms_at_most_5_percent_of_the_alarms_are_false() -> None:
    """100 drift; chi-square at 5 % alone has 245 false alarms in every slot; seed 1."""
    rng = np.random.default_rng(1)
    strategy = build(StrategySpec("chi_square", {"alpha": 0.05, "min_effect": 0.0}))
    shares, false, found = [], [], []
    for _ in range(SLOTS):
        now = rng.multinomial(1_000, np.where(np.arange(MODELS)[:, None] < DRIFTING, MOVED, CELLS)).cumsum(axis=1)
        before = rng.multinomial(5_000, CELLS, MODELS).cumsum(axis=1)
        one = batch(now.tolist(), before.tolist(), (*range(1, 10), INF))
        raw, gated = (
            judge(strategy, one, None, rule, SignalQuery(one.name, one.event, {}), np.zeros(0, np.int64)).code
            == Code.BREACHED
            for rule in (Rule("Raw", "g", one.name), Rule("Many", "g", one.name, fdr=0.05))
        )
        shares.append(gated[DRIFTING:].sum() / gated.sum())
        false.append(raw[DRIFTING:].sum())
        found.append(gated[:DRIFTING].sum())
    assert np.mean(shares) <= 0.05
    assert 235 <= np.mean(false) <= 255
    assert np.mean(found) >= 80
