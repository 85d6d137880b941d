"""Verdicts on too few observations, stale samples, new models, and under `fdr`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.engine.evaluation.judge import judge
from bridge.strategies.base import RetrainStrategy, StateColumn
from bridge.strategies.threshold import Limits, ThresholdStrategy
from tests.support.world import DRIFT, A, B, C, rule

NOW = 1_700_000_000_000
STRATEGY = ThresholdStrategy(limits=Limits(max=0.6))


def judged(
    rule_keys: dict[str, Any], columns: dict[str, Any], *, stale_after: int = 0, first_seen: tuple[int, ...] = (1, 1, 1)
) -> Verdicts:
    """Return the verdicts on three models over their limit, with these rule keys and columns."""
    table = ModelTable()
    index = np.array([table.row(model) for model in (A, B, C)], np.int32)
    values = {"value": np.array([0.7, 0.8, 0.9]), **{name: np.array(column) for name, column in columns.items()}}
    batch = EventBatch("drift", EventKind.DRIFT, NOW, table, index, values)
    query = replace(DRIFT, stale_after=stale_after)
    return judge(STRATEGY, batch, None, rule(**rule_keys), query, np.array(first_seen, np.int64))


def causes(verdicts: Verdicts) -> list[tuple[Code, Cause]]:
    return [(Code(code), Cause(cause)) for code, cause in zip(verdicts.code, verdicts.cause, strict=True)]


BREACHED = (Code.BREACHED, Cause.NONE)


def test_too_few_observations_are_inconclusive() -> None:
    """Exactly n_min observations suffice; an unknown number does not."""
    verdicts = judged({"n_min": 30.0}, {"n": [29.0, 30.0, np.nan]})
    insufficient = (Code.INCONCLUSIVE, Cause.INSUFFICIENT)
    assert causes(verdicts) == [insufficient, BREACHED, insufficient]


def test_a_stale_number_is_inconclusive() -> None:
    """A sample is stale from stale_after on, or if its age is unknown."""
    made = [NOW / 1000 - 59, NOW / 1000 - 60, np.nan]
    stale = (Code.INCONCLUSIVE, Cause.STALE)
    assert causes(judged({}, {"updated": made}, stale_after=60_000)) == [BREACHED, stale, stale]


def test_a_new_model_is_inconclusive_until_it_is_warm() -> None:
    """Models: never seen before, as old as warm_up, and younger."""
    verdicts = judged({"warm_up": 60_000}, {}, first_seen=(0, NOW - 60_000, NOW - 59_999))
    warming = (Code.INCONCLUSIVE, Cause.WARMING_UP)
    assert causes(verdicts) == [warming, BREACHED, warming]


def test_the_first_reason_is_kept() -> None:
    """NaN keeps its own cause, even with too few observations."""
    verdicts = judged({"n_min": 30.0}, {"n": [1.0, 1.0, 1.0], "value": [np.nan, 0.8, 0.9]})
    assert causes(verdicts)[0] == (Code.INCONCLUSIVE, Cause.NAN)


class WithP(ThresholdStrategy):
    """Strategy with a fixed limit and given p-values."""

    name: ClassVar[str] = "tested"

    def __init__(self, p: list[float] | None) -> None:
        super().__init__(limits=Limits(max=0.6))
        self._p = p

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        verdicts = super().analyse_batch(batch, state)
        return verdicts if self._p is None else replace(verdicts, p=np.array(self._p))


def gated(p: list[float] | None, values: tuple[float, ...] = (0.7, 0.8, 0.9)) -> list[Code]:
    """Return the codes of three models under `fdr: 0.05`."""
    table = ModelTable()
    index = np.array([table.row(model) for model in (A, B, C)], np.int32)
    batch = EventBatch("drift", EventKind.DRIFT, NOW, table, index, {"value": np.array(values)})
    verdicts = judge(WithP(p), batch, None, rule(fdr=0.05), DRIFT, np.zeros(3, np.int64))
    return [Code(code) for code in verdicts.code]


def test_a_breach_that_may_be_chance_among_so_many_starts_nothing() -> None:
    """A p-value of 0.03 suffices alone, but among three models only if the others are as small."""
    assert gated([0.03, 0.03, 0.03]) == [Code.BREACHED] * 3
    assert gated([0.03, 0.2, 0.9]) == [Code.BAND] * 3
    assert gated([0.001, 0.03, 0.9]) == [Code.BREACHED, Code.BREACHED, Code.BAND]


def test_the_gate_takes_away_and_adds_nothing() -> None:
    """A model within its limit stays healthy at any p-value; inconclusive models are not counted."""
    assert gated([0.001, 0.001, 0.9], (0.1, 0.7, 0.1)) == [Code.OK, Code.BREACHED, Code.OK]
    assert gated([0.02, np.nan, 0.9], (0.7, np.nan, 0.1)) == [Code.BREACHED, Code.INCONCLUSIVE, Code.OK]


def test_a_breach_without_a_p_value_starts_nothing() -> None:
    """Without p-values no breach is significant."""
    assert gated(None) == [Code.BAND] * 3
    assert gated([0.001, np.nan, 0.001]) == [Code.BREACHED, Code.BAND, Code.BREACHED]


class Counting(RetrainStrategy):
    """Strategy whose state counts its samples."""

    name = "counting"
    state_dtype = np.dtype([("seen", np.int64)])

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        assert state is not None
        state["seen"] += 1
        return Verdicts.inconclusive(len(batch), Cause.BLIND)


def test_inconclusive_samples_do_not_change_the_state() -> None:
    """Samples that are too few or too old leave no trace in the state."""
    table = ModelTable()
    index = np.array([table.row(model) for model in (A, B, C)], np.int32)
    columns = {"value": np.ones(3), "n": np.array([29.0, 30.0, 30.0]), "updated": NOW / 1000 - np.array([0, 60, 59.0])}
    batch = EventBatch("drift", EventKind.DRIFT, NOW, table, index, columns)
    strategy, query, keys = Counting(), replace(DRIFT, stale_after=60_000), rule(n_min=30.0)
    state = strategy.new_state(3)
    assert state is not None
    judge(strategy, batch, state, keys, query, np.ones(3, np.int64))
    assert state["seen"].tolist() == [0, 0, 1]
