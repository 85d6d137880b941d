"""Slots in which nothing can change: known beforehand for rules that look at each slot by itself.

A rule's verdicts on a piece of history are found for all its slots at once; where they are those of the slot before,
only time can change anything, and when it next may is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bridge.domain.alert import State
from bridge.domain.batch import DISCOVER, UPDATED
from bridge.domain.errors import StrategyError
from bridge.domain.times import Duration, Timestamp
from bridge.engine.judging import judge
from bridge.engine.pieces import Piece
from bridge.engine.rule_run import RuleRun
from bridge.engine.tick import REPLACED_AFTER, Engine, GroupRun

_NEVER: Timestamp = 1 << 62


def skippable(run: GroupRun) -> bool:
    """Whether all rules of the group look at each slot by itself."""
    return all(_alone(rule) for rule in run.runs)


def _alone(run: RuleRun) -> bool:
    rule, query = run.rule, run.query
    remembers = run.strategy is not None and run.strategy.state_dtype is not None
    by_time = rule.breaches is not None or rule.warm_up or query.stale_after or {DISCOVER, UPDATED} & set(query.exprs)
    decided = any(policy != "keep" for policy in rule.policies.values())
    return not (remembers or by_time or decided or run.parts)


def still(piece: Piece, runs: Sequence[RuleRun]) -> NDArray[np.bool_]:
    """(p,) where each rule's verdict on each model is that of the slot before, and the same models are there.

    Never at the first slot of the piece; empty when it cannot be told.
    """
    whole = piece.whole()
    if whole is None:
        return np.zeros(0, np.bool_)
    batch, place = whole
    size = int(batch.index.max(initial=-1)) + 1
    found = np.ones(len(piece.slots), np.bool_)
    for run in runs:
        own = replace(batch, name=run.query.name, event=run.query.event, unit_ms=run.query.unit_ms)
        try:
            verdicts = judge(run.strategy, own, None, run.rule, run.query, np.zeros(len(own), np.int64))
        except StrategyError:
            return np.zeros(0, np.bool_)
        said = np.full((len(piece.slots), size), -1, np.int16)
        said[place, batch.index] = verdicts.code + 16 * verdicts.cause.astype(np.int16)
        found[1:] &= (said[1:] == said[:-1]).all(axis=1)
    found[:1] = False
    return found


def wake(engine: Engine, run: GroupRun) -> Timestamp:
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
    for roster in run.rosters.values():
        due += [_next(roster.live.missing_since, after, now) for after in (REPLACED_AFTER, engine.retire_after)]
    return min(due)


def _next(instants: NDArray[np.int64], after: Duration, now: Timestamp) -> Timestamp:
    """The first end after `now` of waits that began at instants (0: none did)."""
    if not instants.any():
        return _NEVER
    ends = instants[instants != 0] + after
    return int(ends.min(where=ends > now, initial=_NEVER))
