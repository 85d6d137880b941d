"""Columns of one rule over all models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.domain.alert import AlertColumns, Positions
from bridge.domain.verdict import Cause, Code, Floats, Int8
from bridge.engine.evaluation.conditions import ConditionColumns, ConditionEvaluator
from bridge.strategies.base import RetrainStrategy, StateColumn


@dataclass(frozen=True, slots=True)
class EvaluatedColumns:
    """Columns of one rule as an evaluation left them: read-only, and never changed afterwards. All (n,).

    state, recent: as in AlertColumns; the others as in RuleColumns.
    """

    code: Int8
    cause: Int8
    value: Floats
    statistic: Floats
    threshold: Floats
    known: NDArray[np.bool_]
    state: Int8
    recent: NDArray[np.int64]


@dataclass(slots=True)
class RuleColumns:
    """State of one rule for every model, one row per model: alert state, last verdict, strategy state. All (n,).

    code: verdict code after policies.
    cause: cause as the strategy gave it.
    value, statistic, threshold: numbers of the last verdict, NaN = none.
    known: True if the rule has seen the model.
    logged_cause: cause in the model's last decision record.
    since: first slot with a sample but no verdict yet (never_judged.py).
    state: strategy state, None for a stateless strategy.
    parts: columns of the conditions of a composite rule.
    """

    alerts: AlertColumns
    code: Int8
    cause: Int8
    value: Floats
    statistic: Floats
    threshold: Floats
    known: NDArray[np.bool_]
    logged_cause: Int8
    since: NDArray[np.int64]
    state: StateColumn | None
    parts: list[ConditionColumns]

    @staticmethod
    def empty(strategy: RetrainStrategy | None, parts: Sequence[ConditionEvaluator] = ()) -> RuleColumns:
        """Return columns without rows."""
        floats, ints = np.empty(0), np.zeros(0, np.int8)
        state = None if strategy is None else strategy.new_state(0)
        conditions = [ConditionColumns.empty(part.strategy) for part in parts]
        return RuleColumns(
            AlertColumns.empty(), ints, ints, floats, floats, floats, np.zeros(0, np.bool_), ints,
            np.zeros(0, np.int64), state, conditions,
        )  # fmt: skip

    def copy(self) -> RuleColumns:
        """Return a copy that may be changed by its own methods, and shares some columns until then."""
        state = None if self.state is None else self.state.copy()
        return RuleColumns(
            self.alerts.copy(),
            self.code.copy(),
            self.cause.copy(),
            self.value.copy(),
            self.statistic.copy(),
            self.threshold.copy(),
            self.known.copy(),
            self.logged_cause.copy(),
            self.since.copy(),
            state,
            [part.copy() for part in self.parts],
        )

    def forget(self, rows: Positions) -> None:
        """Reset rows to those of models that the rule has never seen."""
        self.known[rows] = False
        self.logged_cause[rows] = Cause.NONE
        self.since[rows] = 0
        self.code[rows], self.cause[rows] = Code.INCONCLUSIVE, Cause.NO_DATA
        self.clear_numbers(rows)
        self.alerts.clear(rows)
        for state in (self.state, *(part.state for part in self.parts)):
            if state is not None:
                state[rows] = np.zeros(1, state.dtype)

    def clear_numbers(self, rows: Positions | NDArray[np.bool_]) -> None:
        """Remove the numbers of the last verdict. rows: positions, or a mask (n,)."""
        for column in (self.value, self.statistic, self.threshold):
            column[rows] = np.nan

    def freeze(self) -> EvaluatedColumns:
        """Make what an evaluation holds read-only, and return it."""
        alerts = self.alerts
        frozen = EvaluatedColumns(
            self.code, self.cause, self.value, self.statistic, self.threshold, self.known, alerts.state, alerts.recent
        )
        for column in (
            self.code, self.cause, self.value, self.statistic, self.threshold, self.known, alerts.state, alerts.recent
        ):  # fmt: skip
            column.setflags(write=False)
        for part in self.parts:
            part.freeze()
        return frozen

    def thaw(self) -> None:
        """Replace what an evaluation holds by copies that may be changed."""
        if self.code.flags.writeable:
            return
        self.code, self.cause, self.known = self.code.copy(), self.cause.copy(), self.known.copy()
        self.value, self.statistic, self.threshold = self.value.copy(), self.statistic.copy(), self.threshold.copy()
        self.alerts.state = self.alerts.state.copy()
        for part in self.parts:
            part.thaw()

    def grow(self, size: int, strategy: RetrainStrategy | None, parts: Sequence[ConditionEvaluator] = ()) -> None:
        """Extend the columns to `size` rows; new rows are unknown and inconclusive."""
        more = size - len(self.code)
        if more <= 0:
            return
        self.alerts.grow(size)
        self.code = np.concatenate([self.code, np.full(more, Code.INCONCLUSIVE, np.int8)])
        self.cause = np.concatenate([self.cause, np.full(more, Cause.NO_DATA, np.int8)])
        nan = np.full(more, np.nan)
        self.value, self.statistic, self.threshold = (
            np.concatenate([column, nan]) for column in (self.value, self.statistic, self.threshold)
        )
        self.known = np.concatenate([self.known, np.zeros(more, np.bool_)])
        self.logged_cause = np.concatenate([self.logged_cause, np.zeros(more, np.int8)])
        self.since = np.concatenate([self.since, np.zeros(more, np.int64)])
        fresh = None if strategy is None else strategy.new_state(more)
        if self.state is not None and fresh is not None:
            self.state = np.concatenate([self.state, fresh])
        for columns, part in zip(self.parts, parts, strict=True):
            columns.grow(size, part.strategy)
