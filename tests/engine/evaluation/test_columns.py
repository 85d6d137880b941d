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


def test_a_row_that_is_forgotten_is_as_new() -> None:
    """Also its alert state, its strategy's state and that of its conditions; other rows stay."""
    cusum = StrategySpec("seasonal_cusum")
    part = ConditionEvaluator(Condition("drift", cusum), DRIFT, build(cusum))
    columns = RuleColumns.empty(build(cusum), [part])
    columns.grow(3, build(cusum), [part])
    states = [columns.state, columns.parts[0].state]
    columns.code[:], columns.cause[:], columns.logged_cause[:] = Code.BREACHED, Cause.NONE, Cause.NO_DATA
    columns.value[:], columns.known[:], columns.since[:], columns.alerts.state[:] = 0.7, True, 5, 2
    for state in states:
        assert state is not None
        state.view(np.uint8)[:] = 1
    columns.forget(np.array([1]))
    assert columns.known.tolist() == [True, False, True]
    assert columns.alerts.state.tolist() == [2, 0, 2]
    assert columns.since.tolist() == [5, 0, 5]
    assert (columns.code[1], columns.cause[1], columns.logged_cause[1]) == (
        Code.INCONCLUSIVE, Cause.NO_DATA, Cause.NONE,
    )  # fmt: skip
    assert np.isnan(columns.value).tolist() == [False, True, False]
    for state in states:
        assert state is not None
        assert [bool(row.tobytes().strip(b"\0")) for row in state] == [True, False, True]


def test_numbers_are_cleared_by_row() -> None:
    """The verdict stays."""
    columns = RuleColumns.empty(None)
    columns.grow(2, None)
    columns.code[:], columns.value[:], columns.statistic[:], columns.threshold[:] = Code.BREACHED, 0.7, 3.0, 0.6
    columns.clear_numbers(np.array([True, False]))
    assert np.isnan([columns.value[0], columns.statistic[0], columns.threshold[0]]).all()
    assert (columns.value[1], columns.statistic[1], columns.threshold[1]) == (0.7, 3.0, 0.6)
    assert columns.code.tolist() == [Code.BREACHED, Code.BREACHED]


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
