"""Recent samples and limits of each rule, in a ring buffer in memory, for charts. Not stored."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventKind
from bridge.domain.verdict import Cause, Floats
from bridge.engine.evaluation.columns import RuleColumns
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.evaluation.rule import RuleEvaluator

log = logging.getLogger(__name__)

NUMBERS, BAND = ("value", "statistic", "threshold"), ("lower", "upper")
MOST: int = 8 << 20  # bytes of one trail
_NO_ROWS = np.zeros(0, np.int32)
_NO_NUMBER = tuple(map(int, (Cause.NO_DATA, Cause.NAN, Cause.QUERY_ERROR, Cause.PARTIAL, Cause.BLIND)))


@dataclass(frozen=True, slots=True)
class TrailWindow:
    """Numbers of a rule for k models over s slots, oldest first.

    slots: (s,), instants in ms.
    value, lower, upper: float32 (s, k), sample and expected range, in the signal's unit, NaN = none.
    statistic, threshold: float32 (s, k), in the unit of threshold, NaN = none.
    state: int8 (s, k), as domain.alert.State.
    """

    slots: NDArray[np.int64]
    value: NDArray[np.float32]
    statistic: NDArray[np.float32]
    threshold: NDArray[np.float32]
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    state: NDArray[np.int8]


@dataclass(slots=True)
class Trail:
    """Ring buffer of one rule. The more models, the fewer slots it keeps.

    budget: maximum size in bytes, unless `shortest` slots need more. A new one applies from the next slot.
    shortest, longest: minimum and maximum number of slots.
    """

    budget: int = MOST
    shortest: int = 8
    longest: int = 240
    fingerprint: str = ""
    _slots: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _numbers: NDArray[np.float32] = field(default_factory=lambda: np.zeros((len(NUMBERS), 0, 0), np.float32))
    _state: NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, 0), np.int8))
    _next: int = 0
    _planned: int = 0

    def note(self, run: RuleEvaluator, evaluation: Evaluation) -> None:
        """Record the last evaluation of a rule, after its commit."""
        live = run.live
        size = len(live.code)
        band = None if evaluation.verdicts is None or evaluation.batch is None else evaluation.verdicts.band()
        names = NUMBERS if band is None and len(self._numbers) == len(NUMBERS) else (*NUMBERS, *BAND)
        # A rule may be evaluated before it has a model.
        if size > self._state.shape[1] or self.budget != self._planned or len(names) != len(self._numbers):
            self._resize(max(size, self._state.shape[1]), len(names))
        index = self._next
        self._slots[index] = evaluation.slot
        numbers, none, shown = (
            self._numbers[:, index],
            np.flatnonzero(_without_number(live)),
            _answered(run, evaluation),
        )
        numbers[:] = np.nan
        for row, column in zip(numbers, (live.value, live.statistic, live.threshold), strict=False):
            row[:size][shown] = column[shown]
        if band is not None and evaluation.batch is not None:
            _put_band(band, evaluation.batch.index, run.query.event, numbers[len(NUMBERS) :])
        numbers[:, none] = np.nan
        self._state[index, :size] = live.alerts.state
        self._state[index, size:] = 0
        self._next = (index + 1) % len(self._slots)

    def course(self, models: Sequence[int], last: int = 0) -> TrailWindow:
        """Return the recorded numbers of models, given by their rows.

        last: maximum number of slots, 0 = all.
        """
        order = np.roll(np.arange(len(self._slots)), -self._next)
        order = order[self._slots[order] > 0][-last:]
        known = [model for model in models if model < self._state.shape[1]]
        numbers = np.full((len(NUMBERS) + len(BAND), len(order), len(models)), np.nan, np.float32)
        state = np.zeros((len(order), len(models)), np.int8)
        targets = [index for index, model in enumerate(models) if model < self._state.shape[1]]
        if known and len(order):
            numbers[: len(self._numbers), :, targets] = self._numbers[:, order][:, :, known]
            state[:, targets] = self._state[order][:, known]
        value, statistic, threshold, lower, upper = numbers
        return TrailWindow(self._slots[order], value, statistic, threshold, lower, upper, state)

    def _resize(self, size: int, count: int) -> None:
        """Make room for `size` models plus a quarter, and `count` numbers; recorded slots are kept as far as they fit.

        count: of NUMBERS, or of those and BAND: most strategies have no band.
        """
        old = self._state.shape[1]
        room = old if size <= old else max(size + size // 4, 64)
        each = (4 * count + 1) * room
        depth = min(max(self.budget // max(each, 1), self.shortest), self.longest)
        order = np.roll(np.arange(len(self._slots)), -self._next)
        order = order[self._slots[order] > 0][-depth:]
        slots, numbers, state = self._slots[order], self._numbers[:, order], self._state[order]
        kept = len(order)
        self._slots = np.zeros(depth, np.int64)
        self._numbers = np.full((count, depth, room), np.nan, np.float32)
        self._state = np.zeros((depth, room), np.int8)
        self._slots[:kept], self._state[:kept, :old] = slots, state
        self._numbers[: len(numbers), :kept, :old] = numbers
        self._next, self._planned = kept % depth, self.budget


def _without_number(live: RuleColumns) -> NDArray[np.bool_]:
    """Return which models have no number, bool (n,).

    Each cause is compared with a plain int: a lookup table by int8, or enum members, take several times as long.
    """
    none = ~live.known
    for cause in _NO_NUMBER:
        none |= live.cause == cause
    return none


def _put_band(
    band: tuple[Floats, Floats], index: NDArray[np.int32], event: EventKind, numbers: NDArray[np.float32]
) -> None:
    """Write the expected range of a strategy; ratios and durations have a lower bound of 0."""
    low: Floats = band[0] if event is EventKind.CUSTOM else np.maximum(band[0], 0)
    numbers[0, index], numbers[1, index] = low, band[1]


def _answered(run: RuleEvaluator, evaluation: Evaluation) -> NDArray[np.int32] | slice:
    """Return the rows that have numbers: for an expression those that it returned, else all."""
    if run.strategy is not None or run.parts:
        return slice(None)
    return _NO_ROWS if evaluation.batch is None else evaluation.batch.index


@dataclass(slots=True)
class Trails:
    """Trails of all rules, by name. A rule with a new fingerprint starts a new trail.

    budget: maximum size of all trails together, in bytes; one has MOST at most.
    """

    budget: int = 4 * MOST
    _trails: dict[str, Trail] = field(default_factory=dict)
    _rules: int = 1

    def note(self, runs: Sequence[RuleEvaluator], evaluations: Mapping[str, Evaluation]) -> None:
        """Record the last evaluation of rules of one group, after its commit. evaluations: by rule."""
        for run in runs:
            evaluation = evaluations.get(run.rule.name)
            trail = self._trails.get(run.rule.name)
            if trail is None or trail.fingerprint != run.fingerprint:
                trail = self._trails[run.rule.name] = Trail(fingerprint=run.fingerprint)
            trail.budget = min(MOST, self.budget // self._rules)
            try:
                if evaluation is not None:
                    trail.note(run, evaluation)
            except Exception:  # a plug-in's band() failed; the slot is stored, so charts must not fail it
                log.exception("chart data of a rule could not be recorded", extra={"rule": run.rule.name})

    def keep(self, names: set[str]) -> None:
        """Drop the trails of all rules except `names`, and divide the budget among these."""
        self._trails = {name: trail for name, trail in self._trails.items() if name in names}
        self._rules = max(1, len(names))

    def course(self, rule: str, models: Sequence[int], last: int = 0) -> TrailWindow:
        """Return `Trail.course` of one rule."""
        return self._trails.get(rule, Trail()).course(models, last)
