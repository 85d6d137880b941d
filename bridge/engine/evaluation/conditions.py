"""Conditions of a composite rule: each is evaluated on its own signal, then they are counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.domain.alert import State
from bridge.domain.batch import EventBatch
from bridge.domain.rule import Condition, SignalQuery
from bridge.domain.verdict import Cause, Code, Floats, Int8, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn

Flags = NDArray[np.bool_]


@dataclass(slots=True)
class ConditionColumns:
    """State of one condition for every model, one row per model. All (n,).

    code: BREACHED = the condition holds.
    cause: cause of an inconclusive code.
    value, threshold: numbers of the last verdict, NaN = none.
    state: strategy state, None for a stateless strategy.
    """

    code: Int8
    cause: Int8
    value: Floats
    threshold: Floats
    state: StateColumn | None

    @staticmethod
    def empty(strategy: RetrainStrategy | None) -> ConditionColumns:
        """Return columns without rows."""
        ints, floats = np.zeros(0, np.int8), np.empty(0)
        return ConditionColumns(ints, ints, floats, floats, None if strategy is None else strategy.new_state(0))

    def copy(self) -> ConditionColumns:
        """Return a deep copy."""
        state = None if self.state is None else self.state.copy()
        return ConditionColumns(self.code.copy(), self.cause.copy(), self.value.copy(), self.threshold.copy(), state)

    def grow(self, size: int, strategy: RetrainStrategy | None) -> None:
        """Extend the columns to `size` rows; new rows are inconclusive."""
        more = size - len(self.code)
        if more <= 0:
            return
        self.code = np.concatenate([self.code, np.full(more, Code.INCONCLUSIVE, np.int8)])
        self.cause = np.concatenate([self.cause, np.full(more, Cause.NO_DATA, np.int8)])
        nan = np.full(more, np.nan)
        self.value, self.threshold = np.concatenate([self.value, nan]), np.concatenate([self.threshold, nan])
        fresh = None if strategy is None else strategy.new_state(more)
        if self.state is not None and fresh is not None:
            self.state = np.concatenate([self.state, fresh])

    def freeze(self) -> None:
        """Make what an evaluation holds read-only."""
        for column in (self.code, self.cause, self.value, self.threshold):
            column.setflags(write=False)

    def thaw(self) -> None:
        """Replace what an evaluation holds by copies that may be changed."""
        self.code, self.cause = self.code.copy(), self.cause.copy()
        self.value, self.threshold = self.value.copy(), self.threshold.copy()

    def unknown(self, cause: Cause) -> None:
        """Set every model to inconclusive with the given cause."""
        self.code[:] = Code.INCONCLUSIVE
        self.cause[:] = cause
        self.value[:] = np.nan
        self.threshold[:] = np.nan


@dataclass(frozen=True, slots=True)
class ConditionJudgement:
    """Verdicts of one condition in one slot.

    positions: int64 (n,), position of each model in `batch`, -1 = absent.
    """

    batch: EventBatch
    verdicts: Verdicts
    positions: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ConditionEvaluator:
    """Evaluator of one condition."""

    condition: Condition
    query: SignalQuery
    strategy: RetrainStrategy | None

    def take(self, columns: ConditionColumns, batch: EventBatch, verdicts: Verdicts) -> ConditionJudgement:
        """Write this slot's verdicts to the columns, and return them; a model that is not in the batch has no data."""
        index = batch.index
        columns.unknown(Cause.NO_DATA if batch.cause is Cause.NONE else batch.cause)
        columns.code[index] = _inverted(verdicts.code) if self.condition.healthy else verdicts.code
        columns.cause[index] = verdicts.cause
        columns.value[index] = batch.values() if len(index) else ()
        columns.threshold[index] = verdicts.threshold
        positions = np.full(len(columns.code), -1, np.int64)
        positions[index] = np.arange(len(index))
        return ConditionJudgement(batch, verdicts, positions)


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """Result of one condition in one slot. Columns are read-only, (n,), and as in ConditionColumns.

    judgement: None without a response, and for a `healthy` condition without a strategy.
    """

    condition: Condition
    query: SignalQuery
    strategy: RetrainStrategy | None
    judgement: ConditionJudgement | None
    code: Int8
    cause: Int8
    value: Floats
    threshold: Floats

    @staticmethod
    def of(
        part: ConditionEvaluator, judgement: ConditionJudgement | None, columns: ConditionColumns
    ) -> ConditionResult:
        """Return the result of a condition, whose columns are frozen."""
        numbers = (columns.code, columns.cause, columns.value, columns.threshold)
        return ConditionResult(part.condition, part.query, part.strategy, judgement, *numbers)

    def describe(self, row: int) -> str:
        """Return the condition's result for the model at `row`, in one line."""
        word, judgement = Code(self.code[row]).name.lower(), self.judgement
        if self.code[row] == Code.INCONCLUSIVE:
            return f"{self.query.name} {word}: {Cause(self.cause[row]).word}"
        if self.condition.healthy:
            number = "" if np.isnan(self.value[row]) else f" {self.value[row]:.6g}"
            return f"{self.query.name}{number} {'healthy' if self.code[row] == Code.BREACHED else 'not healthy'}"
        if self.strategy is None or judgement is None:
            return f"{self.query.name} {word}"
        return self.strategy.describe(judgement.batch, int(judgement.positions[row]), judgement.verdicts)


def evaluate_healthy_condition(columns: ConditionColumns, siblings: Iterable[tuple[Int8, Int8, Int8]]) -> None:
    """Set a `healthy` condition from the group's rules on its signal.

    It holds if none of them is breached or firing; it is inconclusive if one of them is and none is breached.

    siblings: (code, cause, alert state) columns of each rule.
    """
    size = len(columns.code)
    breached, unsure = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    columns.cause[:] = Cause.NONE
    for code, cause, state in siblings:
        breached |= (code == Code.BREACHED) | (state == State.FIRING)
        inconclusive = (code == Code.INCONCLUSIVE) & ~unsure
        columns.cause[inconclusive] = cause[inconclusive]
        unsure |= inconclusive
    columns.code[:] = np.where(breached, Code.OK, np.where(unsure, Code.INCONCLUSIVE, Code.BREACHED))
    columns.cause[columns.code != Code.INCONCLUSIVE] = Cause.NONE


def combine(parts: Sequence[ConditionColumns], at_least: int) -> tuple[Int8, Int8]:
    """Return code and cause (n,) of the composite rule: breached if `at_least` conditions hold.

    Where the inconclusive conditions could change the result, it is inconclusive, with the cause of the first of them.
    """
    codes = np.stack([part.code for part in parts])
    holding, band, unknown = ((codes == code).sum(axis=0) for code in (Code.BREACHED, Code.BAND, Code.INCONCLUSIVE))
    least, most = _decided(holding, band, at_least), _decided(holding + unknown, band, at_least)
    code = np.where(least == most, least, np.int8(Code.INCONCLUSIVE)).astype(np.int8)
    first = np.argmax(codes == Code.INCONCLUSIVE, axis=0)
    causes = np.stack([part.cause for part in parts])[first, np.arange(codes.shape[1])]
    return code, np.where(code == Code.INCONCLUSIVE, causes, np.int8(Cause.NONE)).astype(np.int8)


def _decided(holding: NDArray[np.int64], band: NDArray[np.int64], at_least: int) -> Int8:
    """Return the codes, given the number of conditions that hold and of those in the band."""
    decided = np.where(holding + band >= at_least, np.int8(Code.BAND), np.int8(Code.OK))
    return np.where(holding >= at_least, np.int8(Code.BREACHED), decided)


def _inverted(code: Int8) -> Int8:
    """Return the codes of the inverted condition; a model in the band does not count as healthy."""
    inverted = np.where(code == Code.OK, np.int8(Code.BREACHED), np.int8(Code.OK))
    return np.where(code == Code.INCONCLUSIVE, code, inverted).astype(np.int8)
