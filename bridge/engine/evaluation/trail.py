"""What a rule saw of its models over the last slots: a ring of columns in memory, for pictures. Nothing is stored."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventKind
from bridge.domain.verdict import Cause, Floats
from bridge.engine.evaluation.columns import RuleColumns
from bridge.engine.evaluation.rule import Evaluation, RuleEvaluator

log = logging.getLogger(__name__)

NUMBERS = ("value", "statistic", "threshold", "lower", "upper")
_BYTES = 4 * len(NUMBERS) + 1  # of one model in one slot
_NO_NUMBER = tuple(map(int, (Cause.NO_DATA, Cause.NAN, Cause.QUERY_ERROR, Cause.PARTIAL, Cause.BLIND)))


@dataclass(frozen=True, slots=True)
class TrailWindow:
    """A rule and k models over s slots, oldest first. slots: (s,) instants in ms. All numbers (s, k), float32.

    value, and lower and upper of what is usual, in the signal's unit; statistic in the unit of threshold; NaN where
    there is none. state: (s, k) of the alert, as domain.alert.State.
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
    """The ring of one rule. budget: bytes that it may take, as long as that is for `shortest` slots.

    The more models there are, the fewer slots are kept.
    """

    budget: int = 8 << 20
    shortest: int = 8
    longest: int = 240
    fingerprint: str = ""
    _slots: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _numbers: NDArray[np.float32] = field(default_factory=lambda: np.zeros((len(NUMBERS), 0, 0), np.float32))
    _state: NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, 0), np.int8))
    _next: int = 0

    def note(self, run: RuleEvaluator) -> None:
        """Remember the last evaluation of a rule, once it is committed."""
        found = run.evaluation
        if found is None:
            return
        live = run.live
        size = len(live.code)
        if size > self._state.shape[1] or not len(self._slots):  # a rule may be evaluated before it knows a model
            self._grow(size)
        place = self._next
        self._slots[place] = found.slot
        numbers, none = self._numbers[:, place], np.flatnonzero(_without_number(live))
        numbers[:, size:] = np.nan
        self._state[place, size:] = 0
        for row, column in zip(numbers, (live.value, live.statistic, live.threshold), strict=False):
            row[:size] = column
        numbers[3:] = np.nan
        _band(found, run.query.event, numbers[3], numbers[4])
        numbers[:, none] = np.nan
        if run.strategy is None and not run.parts:
            _only_answered(found, numbers)
        self._state[place, :size] = live.alerts.state
        self._next = (place + 1) % len(self._slots)

    def course(self, models: Sequence[int], last: int = 0) -> TrailWindow:
        """What is remembered of models by their slots in the table; last: only so many slots, 0 = all."""
        order = np.roll(np.arange(len(self._slots)), -self._next)
        order = order[self._slots[order] > 0][-last:]
        known = [model for model in models if model < self._state.shape[1]]
        numbers = np.full((len(NUMBERS), len(order), len(models)), np.nan, np.float32)
        state = np.zeros((len(order), len(models)), np.int8)
        at = [place for place, model in enumerate(models) if model < self._state.shape[1]]
        if known and len(order):
            numbers[:, :, at] = self._numbers[:, order][:, :, known]
            state[:, at] = self._state[order][:, known]
        value, statistic, threshold, lower, upper = numbers
        return TrailWindow(self._slots[order], value, statistic, threshold, lower, upper, state)

    def _grow(self, size: int) -> None:
        """Room for more models, a quarter more than asked for; what was remembered stays as far as it fits."""
        room = max(size + size // 4, 64)
        depth = min(max(self.budget // (_BYTES * room), self.shortest), self.longest)
        before = self.course(range(self._state.shape[1]))
        kept = min(len(before.slots), depth)
        old = self._state.shape[1]
        self._slots = np.zeros(depth, np.int64)
        self._numbers = np.full((len(NUMBERS), depth, room), np.nan, np.float32)
        self._state = np.zeros((depth, room), np.int8)
        if kept:
            self._slots[:kept] = before.slots[-kept:]
            for place, name in enumerate(NUMBERS):
                self._numbers[place, :kept, :old] = getattr(before, name)[-kept:]
            self._state[:kept, :old] = before.state[-kept:]
        self._next = kept % depth


def _without_number(live: RuleColumns) -> NDArray[np.bool_]:
    """Compared one by one with plain ints: a table looked up by int8, or enum members, take several times as long."""
    none = ~live.known
    for cause in _NO_NUMBER:
        none |= live.cause == cause
    return none


def _band(found: Evaluation, event: EventKind, lower: NDArray[np.float32], upper: NDArray[np.float32]) -> None:
    """What is usual, where the strategy knows it; shares and times are never below 0."""
    band = None if found.verdicts is None else found.verdicts.band()
    if band is None or found.batch is None:
        return
    low: Floats = band[0] if event is EventKind.CUSTOM else np.maximum(band[0], 0)
    lower[found.batch.index], upper[found.batch.index] = low, band[1]


def _only_answered(found: Evaluation, numbers: NDArray[np.float32]) -> None:
    """An expression says nothing of the models that it does not return."""
    absent = np.ones(numbers.shape[1], np.bool_)
    if found.batch is not None:
        absent[found.batch.index] = False
    numbers[:, absent] = np.nan


@dataclass(slots=True)
class Trails:
    """The trails of all rules, by name; a rule of another meaning begins a new one."""

    budget: int = 8 << 20
    _trails: dict[str, Trail] = field(default_factory=dict)

    def note(self, runs: Sequence[RuleEvaluator]) -> None:
        """Remember what rules of one group saw in a slot that is committed."""
        for run in runs:
            trail = self._trails.get(run.rule.name)
            if trail is None or trail.fingerprint != run.fingerprint:
                trail = self._trails[run.rule.name] = Trail(self.budget, fingerprint=run.fingerprint)
            try:
                trail.note(run)
            except Exception:  # a plug-in's band; the slot is stored, and pictures are no reason to evaluate it again
                log.exception("what a rule saw cannot be kept for pictures", extra={"rule": run.rule.name})

    def keep(self, names: set[str]) -> None:
        """Forget the rules that are gone."""
        self._trails = {name: trail for name, trail in self._trails.items() if name in names}

    def course(self, rule: str, models: Sequence[int], last: int = 0) -> TrailWindow:
        """Of one rule, as Trail.course."""
        return self._trails.get(rule, Trail()).course(models, last)
