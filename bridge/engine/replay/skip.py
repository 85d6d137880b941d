"""Skipping of slots in which nothing can change, for rules that judge each slot independently.

The verdicts on a chunk of history are computed for all its slots at once. Where they equal those of the previous slot,
only time can change a state, and the next instant at which it may is known.
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
from bridge.engine.access import EngineState
from bridge.engine.evaluation.group import REPLACED_AFTER, GroupEvaluator
from bridge.engine.evaluation.judge import judge
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.ports.history import HistoryChunk

_NEVER: Timestamp = 1 << 62


def skippable(run: GroupEvaluator) -> bool:
    """Return True if every rule of the group judges each slot independently."""
    return all(_independent(rule) for rule in run.runs)


def _independent(run: RuleEvaluator) -> bool:
    rule, query = run.rule, run.query
    stateful = run.strategy is not None and run.strategy.state_dtype is not None
    by_time = (
        rule.breaches is not None
        or rule.fdr
        or rule.warm_up
        or query.stale_after
        or {DISCOVER, UPDATED} & set(query.exprs)
    )
    has_policies = any(policy != "keep" for policy in rule.policies.values())
    return not (stateful or by_time or has_policies or run.parts)


def unchanged_slots(chunk: HistoryChunk, runs: Sequence[RuleEvaluator]) -> NDArray[np.bool_]:
    """Return (p,) True for each slot with the same models and verdicts as the previous slot.

    The first slot of the chunk is always False. Empty if the chunk cannot be judged at once.
    """
    whole = chunk.whole()
    if whole is None:
        return np.zeros(0, np.bool_)
    batch, slot_index = whole
    table = _Table.of(len(chunk.slots), batch.index, slot_index)
    same = np.ones(len(chunk.slots), np.bool_)
    same[:1] = False
    for run in runs:
        own = replace(batch, name=run.query.name, event=run.query.event, unit_ms=run.query.unit_ms)
        try:
            verdicts = judge(run.strategy, own, None, run.rule, run.query, np.zeros(len(own), np.int64))
        except StrategyError:
            return np.zeros(0, np.bool_)
        for column in (verdicts.code, verdicts.cause) if verdicts.cause.any() else (verdicts.code,):
            spread = table.spread(column)
            same[1:] &= (spread[1:] == spread[:-1]).all(axis=1)
    return same


@dataclass(frozen=True, slots=True)
class _Table:
    """Layout of samples as a table of slots by models.

    index: (n,) row of each sample's model.
    slot_index: (n,) index of each sample's slot.
    dense: True if every slot has the same models in one order.
    """

    shape: tuple[int, int]
    index: NDArray[np.int32]
    slot_index: NDArray[np.intp]
    dense: bool

    @staticmethod
    def of(slots: int, index: NDArray[np.int32], slot_index: NDArray[np.intp]) -> _Table:
        each, rest = divmod(len(index), slots)
        if each and not rest:
            rows, slots_of = index.reshape(slots, each), slot_index.reshape(slots, each)
            if (rows == rows[0]).all() and (slots_of == np.arange(slots)[:, None]).all():
                return _Table((slots, each), index, slot_index, dense=True)
        return _Table((slots, int(index.max(initial=-1)) + 1), index, slot_index, dense=False)

    def spread(self, column: Int8) -> Int8:
        """Return a column of all samples as a table, -1 where there is no sample."""
        if self.dense:
            return column.reshape(self.shape)
        table = np.full(self.shape, -1, np.int8)
        table[self.slot_index, self.index] = column
        return table


def next_time_event(state: EngineState, name: str) -> Timestamp:
    """Return the next instant at which time alone may change the group's state, 0 = at every slot."""
    run, index = state.groups[name], state.episode_index
    if index.waiting or index.unjudged or any(rule.health != "ok" for rule in run.runs):
        return 0
    now = run.last_slot or 0
    due = [index.next_overdue(state.settings.gates.in_flight_limit)]
    for rule in run.runs:
        alerts = rule.live.alerts
        due.append(_next(alerts.active_at[alerts.state == State.PENDING], rule.rule.for_, now))
        due.append(_next(alerts.keep_since, rule.rule.keep_firing_for, now))
    for expected in run.expected_models.values():
        due += [
            _next(expected.live.missing_since, after, now) for after in (REPLACED_AFTER, state.settings.retire_after)
        ]
    return min(due)


def _next(instants: NDArray[np.int64], after: Duration, now: Timestamp) -> Timestamp:
    """Return the first end after `now` of waits that began at `instants` (0 = no wait)."""
    if not instants.any():
        return _NEVER
    ends = instants[instants != 0] + after
    return int(ends.min(where=ends > now, initial=_NEVER))
