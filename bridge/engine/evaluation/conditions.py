"""The conditions of a composite rule: each judged over its own signal, then counted together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

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
    """What one condition says of every model slot, all (n,): code BREACHED = it holds. state: its strategy's."""

    code: Int8
    cause: Int8
    value: Floats
    threshold: Floats
    state: StateColumn | None

    @staticmethod
    def empty(strategy: RetrainStrategy | None) -> ConditionColumns:
        none, nothing = np.zeros(0, np.int8), np.empty(0)
        return ConditionColumns(none, none, nothing, nothing, None if strategy is None else strategy.new_state(0))

    def copy(self) -> ConditionColumns:
        state = None if self.state is None else self.state.copy()
        return ConditionColumns(self.code.copy(), self.cause.copy(), self.value.copy(), self.threshold.copy(), state)

    def grow(self, size: int, strategy: RetrainStrategy | None) -> None:
        """Make room for `size` model slots; new ones are inconclusive."""
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

    def unknown(self, cause: Cause) -> None:
        """Nothing is known of any model in this slot."""
        self.code[:] = Code.INCONCLUSIVE
        self.cause[:] = cause
        self.value[:] = np.nan
        self.threshold[:] = np.nan


@dataclass(slots=True)
class ConditionEvaluator:
    """A condition at work. batch, verdicts, place: of the present slot, for explanations; None without an answer."""

    condition: Condition
    query: SignalQuery
    strategy: RetrainStrategy | None
    batch: EventBatch | None = None
    verdicts: Verdicts | None = None
    place: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def take(self, now: ConditionColumns, batch: EventBatch, verdicts: Verdicts) -> None:
        """What this slot's batch says; a model that is not in it has no data."""
        index = batch.index
        now.unknown(Cause.NO_DATA if batch.cause is Cause.NONE else batch.cause)
        now.code[index] = _turned(verdicts.code) if self.condition.healthy else verdicts.code
        now.cause[index] = verdicts.cause
        now.value[index] = batch.values() if len(index) else ()
        now.threshold[index] = verdicts.threshold
        self.batch, self.verdicts = batch, verdicts
        self.place = np.full(len(now.code), -1, np.int64)
        self.place[index] = np.arange(len(index))

    def forget(self) -> None:
        """There was no answer."""
        self.batch = self.verdicts = None

    def describe(self, now: ConditionColumns, slot: int) -> str:
        """What it says of a model, in one line."""
        word = Code(now.code[slot]).name.lower()
        if now.code[slot] == Code.INCONCLUSIVE:
            return f"{self.query.name} {word}: {Cause(now.cause[slot]).word}"
        if self.condition.healthy:
            number = "" if np.isnan(now.value[slot]) else f" {now.value[slot]:.6g}"
            return f"{self.query.name}{number} {'healthy' if now.code[slot] == Code.BREACHED else 'not healthy'}"
        if self.strategy is None or self.batch is None or self.verdicts is None:
            return f"{self.query.name} {word}"
        return self.strategy.describe(self.batch, int(self.place[slot]), self.verdicts)


def health(now: ConditionColumns, siblings: Iterable[tuple[Int8, Int8, Int8]]) -> None:
    """Set a `healthy` condition by the group's rules on its signal: (code, cause, alert state) columns of each.

    It holds while none of them is breached or firing; it is inconclusive while one of them is and none is breached.
    """
    size = len(now.code)
    bad, unsure = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    now.cause[:] = Cause.NONE
    for code, cause, state in siblings:
        bad |= (code == Code.BREACHED) | (state == State.FIRING)
        doubtful = (code == Code.INCONCLUSIVE) & ~unsure
        now.cause[doubtful] = cause[doubtful]
        unsure |= doubtful
    now.code[:] = np.where(bad, Code.OK, np.where(unsure, Code.INCONCLUSIVE, Code.BREACHED))
    now.cause[now.code != Code.INCONCLUSIVE] = Cause.NONE


def combine(parts: Sequence[ConditionColumns], at_least: int) -> tuple[Int8, Int8]:
    """Code and cause (n,) of the whole: breached while `at_least` conditions hold, whatever the unknown ones are.

    Where the unknown ones could change the answer it is inconclusive, for the cause of the first of them.
    """
    codes = np.stack([part.code for part in parts])
    holds, band, unknown = ((codes == code).sum(axis=0) for code in (Code.BREACHED, Code.BAND, Code.INCONCLUSIVE))
    least, most = _decided(holds, band, at_least), _decided(holds + unknown, band, at_least)
    code = np.where(least == most, least, np.int8(Code.INCONCLUSIVE)).astype(np.int8)
    first = np.argmax(codes == Code.INCONCLUSIVE, axis=0)
    causes = np.stack([part.cause for part in parts])[first, np.arange(codes.shape[1])]
    return code, np.where(code == Code.INCONCLUSIVE, causes, np.int8(Cause.NONE)).astype(np.int8)


def _decided(holds: NDArray[np.int64], band: NDArray[np.int64], at_least: int) -> Int8:
    decided = np.where(holds + band >= at_least, np.int8(Code.BAND), np.int8(Code.OK))
    return np.where(holds >= at_least, np.int8(Code.BREACHED), decided)


def _turned(code: Int8) -> Int8:
    """The codes of "it is healthy": in the band it is not yet."""
    turned = np.where(code == Code.OK, np.int8(Code.BREACHED), np.int8(Code.OK))
    return np.where(code == Code.INCONCLUSIVE, code, turned).astype(np.int8)
