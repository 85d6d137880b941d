"""The columns of one rule: what it knows of every model slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.domain.alert import AlertColumns
from bridge.domain.verdict import Cause, Code, Floats, Int8
from bridge.engine.evaluation.conditions import ConditionColumns, ConditionEvaluator
from bridge.strategies.base import RetrainStrategy, StateColumn


@dataclass(slots=True)
class RuleColumns:
    """What a rule knows of every model slot: life cycle, last verdict and numbers, strategy state. All (n,).

    code: after policies; cause: as the strategy said. known: the rule has seen this model. told: the cause that the
    last decision record of this model told. since: when numbers without a verdict began (unjudged.py). parts: of the
    conditions of a composite rule.
    """

    alerts: AlertColumns
    code: Int8
    cause: Int8
    value: Floats
    statistic: Floats
    threshold: Floats
    known: NDArray[np.bool_]
    told: Int8
    since: NDArray[np.int64]
    state: StateColumn | None
    parts: list[ConditionColumns]

    @staticmethod
    def empty(strategy: RetrainStrategy | None, parts: Sequence[ConditionEvaluator] = ()) -> RuleColumns:
        nothing, none = np.empty(0), np.zeros(0, np.int8)
        state = None if strategy is None else strategy.new_state(0)
        conditions = [ConditionColumns.empty(part.strategy) for part in parts]
        return RuleColumns(
            AlertColumns.empty(), none, none, nothing, nothing, nothing, np.zeros(0, np.bool_), none,
            np.zeros(0, np.int64), state, conditions,
        )  # fmt: skip

    def copy(self) -> RuleColumns:
        """A copy that can be changed without touching this one."""
        state = None if self.state is None else self.state.copy()
        return RuleColumns(
            self.alerts.copy(),
            self.code.copy(),
            self.cause.copy(),
            self.value.copy(),
            self.statistic.copy(),
            self.threshold.copy(),
            self.known.copy(),
            self.told.copy(),
            self.since.copy(),
            state,
            [part.copy() for part in self.parts],
        )

    def grow(self, size: int, strategy: RetrainStrategy | None, parts: Sequence[ConditionEvaluator] = ()) -> None:
        """Make room for `size` model slots; new ones are unknown and inconclusive."""
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
        self.told = np.concatenate([self.told, np.zeros(more, np.int8)])
        self.since = np.concatenate([self.since, np.zeros(more, np.int64)])
        fresh = None if strategy is None else strategy.new_state(more)
        if self.state is not None and fresh is not None:
            self.state = np.concatenate([self.state, fresh])
        for columns, part in zip(self.parts, parts, strict=True):
            columns.grow(size, part.strategy)
