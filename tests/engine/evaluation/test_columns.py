"""Columns of a rule: growth and copies."""

from __future__ import annotations

import numpy as np

from bridge.domain.rule import Condition, StrategySpec
from bridge.domain.verdict import Cause, Code
from bridge.engine.evaluation.columns import RuleColumns
from bridge.engine.evaluation.conditions import ConditionEvaluator
from bridge.strategies.registry import build
from tests.support.world import DRIFT

LIMIT = StrategySpec("threshold", {"max": 0.6})


def test_new_rows_are_unknown_and_inconclusive() -> None:
    """Existing rows keep their values."""
    columns = RuleColumns.empty(None)
    columns.grow(1, None)
    columns.code[0], columns.value[0], columns.known[0] = Code.BREACHED, 0.7, True
    columns.grow(3, None)
    assert columns.code.tolist() == [Code.BREACHED, Code.INCONCLUSIVE, Code.INCONCLUSIVE]
    assert columns.cause.tolist()[1:] == [Cause.NO_DATA, Cause.NO_DATA]
    assert columns.known.tolist() == [True, False, False]
    assert columns.value[0] == 0.7
    assert np.isnan(columns.value[1:]).all()
    assert len(columns.alerts.state) == 3


def test_columns_never_shrink() -> None:
    """A smaller size changes nothing."""
    columns = RuleColumns.empty(None)
    columns.grow(3, None)
    columns.grow(2, None)
    assert len(columns.code) == len(columns.since) == 3


def test_a_copy_is_independent() -> None:
    """Also its alert state and the columns of its conditions."""
    part = ConditionEvaluator(Condition("drift", LIMIT), DRIFT, build(LIMIT))
    columns = RuleColumns.empty(None, [part])
    columns.grow(1, None, [part])
    copy = columns.copy()
    copy.code[0], copy.alerts.state[0], copy.parts[0].code[0] = Code.BREACHED, 2, Code.BREACHED
    assert (columns.code[0], columns.alerts.state[0], columns.parts[0].code[0]) == (
        Code.INCONCLUSIVE, 0, Code.INCONCLUSIVE,
    )  # fmt: skip
