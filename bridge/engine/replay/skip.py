"""Slots in which nothing can change: known beforehand for rules that look at each slot by itself.

A rule's verdicts on a piece of history are found for all its slots at once; where they are those of the slot before,
only time can change anything, and when it next may is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bridge.domain.alert import State
from bridge.domain.batch import DISCOVER, UPDATED
from bridge.domain.errors import StrategyError
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Int8
from bridge.engine.engine import Engine
from bridge.engine.evaluation.group import REPLACED_AFTER, GroupEvaluator
from bridge.engine.evaluation.judge import judge
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.ports.history import HistoryChunk

_NEVER: Timestamp = 1 << 62


def skippable(run: GroupEvaluator) -> bool:
    """Whether all rules of the group look at each slot by itself."""
    return all(_alone(rule) for rule in run.runs)


def _alone(run: RuleEvaluator) -> bool:
    rule, query = run.rule, run.query
    remembers = run.strategy is not None and run.strategy.state_dtype is not None
    by_time = (
        rule.breaches is not None
        or rule.fdr
        or rule.warm_up
        or query.stale_after
        or {DISCOVER, UPDATED} & set(query.exprs)
    )
    decided = any(policy != "keep" for policy in rule.policies.values())
    return not (remembers or by_time or decided or run.parts)


def still(piece: HistoryChunk, runs: Sequence[RuleEvaluator]) -> NDArray[np.bool_]:
    """(p,) where each rule's verdict on each model is that of the slot before, and the same models are there.

    Never at the first slot of the piece; empty when it cannot be told.
    """
    whole = piece.whole()
    if whole is None:
        return np.zeros(0, np.bool_)
    batch, place = whole
    table = _Table.of(len(piece.slots), batch.index, place)
    found = np.ones(len(piece.slots), np.bool_)
    found[:1] = False
    for run in runs:
        own = replace(batch, name=run.query.name, event=run.query.event, unit_ms=run.query.unit_ms)
        try:
            verdicts = judge(run.strategy, own, None, run.rule, run.query, np.zeros(len(own), np.int64))
        except StrategyError:
            return np.zeros(0, np.bool_)
        for column in (verdicts.code, verdicts.cause) if verdicts.cause.any() else (verdicts.code,):
            said = table.spread(column)
            found[1:] &= (said[1:] == said[:-1]).all(axis=1)
    return found


@dataclass(frozen=True, slots=True)
class _Table:
    """Samples of many slots laid out as slots by models. dense: every slot has the same models, in one order."""

    shape: tuple[int, int]
    index: NDArray[np.int32]
    place: NDArray[np.intp]
    dense: bool

    @staticmethod
    def of(slots: int, index: NDArray[np.int32], place: NDArray[np.intp]) -> _Table:
        each, rest = divmod(len(index), slots)
        if each and not rest:
            rows, places = index.reshape(slots, each), place.reshape(slots, each)
            if (rows == rows[0]).all() and (places == np.arange(slots)[:, None]).all():
                return _Table((slots, each), index, place, dense=True)
        return _Table((slots, int(index.max(initial=-1)) + 1), index, place, dense=False)

    def spread(self, column: Int8) -> Int8:
        """A column of all samples as a table; -1 where there is none."""
        if self.dense:
            return column.reshape(self.shape)
        found = np.full(self.shape, -1, np.int8)
        found[self.place, self.index] = column
        return found


def wake(engine: Engine, run: GroupEvaluator) -> Timestamp:
    """The next slot time at which time alone may change something in the group; 0: at every slot."""
    book = engine.book
    if book.waiting or book.unjudged or any(rule.health != "ok" for rule in run.runs):
        return 0
    now = run.last_slot or 0
    due = [book.next_overdue(engine.keeper().gates.in_flight_limit)]
    for rule in run.runs:
        alerts = rule.live.alerts
        due.append(_next(alerts.active_at[alerts.state == State.PENDING], rule.rule.for_, now))
        due.append(_next(alerts.keep_since, rule.rule.keep_firing_for, now))
    for expected in run.expected_models.values():
        due += [_next(expected.live.missing_since, after, now) for after in (REPLACED_AFTER, engine.retire_after)]
    return min(due)


def _next(instants: NDArray[np.int64], after: Duration, now: Timestamp) -> Timestamp:
    """The first end after `now` of waits that began at instants (0: none did)."""
    if not instants.any():
        return _NEVER
    ends = instants[instants != 0] + after
    return int(ends.min(where=ends > now, initial=_NEVER))
