"""Backfill of strategy state from history: the slots since the last start, or the whole history of a new rule.

Only strategy state changes: there are no decisions about past slots. A long history is read in portions, tick by
tick. Until it is complete, the rule is inconclusive (`warming_up`) and the strategy gets no live samples.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError, StrategyError
from bridge.domain.rule import Group
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Cause, Code
from bridge.engine.evaluation.answers import taken
from bridge.engine.evaluation.inheritance import inherit
from bridge.engine.evaluation.judge import judge
from bridge.engine.evaluation.never_judged import note
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.state.strategy_state import COLD, StoredState, kept
from bridge.ports import MetricSource
from bridge.ports.history import close

log = logging.getLogger(__name__)

MOST_SLOTS = 10_000  # per history: within the limit of points of one range query
NEWEST = 5_000  # the latest slots are read one by one, older ones are thinned out
MOST_TRIES = 6  # with exponential backoff: about an hour at one slot a minute


def backfill(
    run: RuleEvaluator, group: Group, source: MetricSource, last: Timestamp, limit: Duration, enough: Callable[[], bool]
) -> None:
    """Feed history up to slot `last` to the strategies of `run` that are behind, until `enough` returns True.

    limit: how far back a strategy that has seen its history is caught up, in ms.
    """
    for item in kept(run):
        tries, pause_until = run.tries.get(item.name, (0, 0))
        if item.name not in run.behind or last < pause_until:
            continue
        since = run.behind[item.name]
        reach = item.strategy.history if since == COLD else max(item.strategy.history, limit)
        long_gap = since == COLD or last - since > limit
        try:
            done = _replay(run, item, group, source, _slots(group, since, last, reach), enough)
        except SourceError as error:
            done = not (long_gap and item.strategy.history) or _failed(run, item, group, last, tries + 1, error)
            if done:
                log.warning("strategy state could not be rebuilt", extra={"rule": run.rule.name, "error": str(error)})
        except StrategyError as error:
            done = True
            log.warning("strategy state could not be rebuilt", extra={"rule": run.rule.name, "error": str(error)})
        if done:
            run.behind.pop(item.name)
            run.tries.pop(item.name, None)


def _slots(group: Group, since: Timestamp, last: Timestamp, reach: Duration) -> list[Sequence[Timestamp]]:
    """Return the slots after `since`, at most `reach` ms before `last`; of too many, the older ones are thinned out."""
    first = max(since, last - reach, 0) + group.interval
    whole = range(group.slot_at(first), last + 1, group.interval)
    if len(whole) <= MOST_SLOTS:
        return [whole]
    older, newest = whole[:-NEWEST], whole[-NEWEST:]
    return [older[:: -(-len(older) // (MOST_SLOTS - NEWEST))], newest]


def _replay(
    run: RuleEvaluator, item: StoredState, group: Group, source: MetricSource, parts: Sequence[Sequence[Timestamp]],
    enough: Callable[[], bool],
) -> bool:  # fmt: skip
    """Return True if all slots were read, False if `enough` stopped it. Raises SourceError, StrategyError."""
    for slots in parts:
        batches = source.history(item.query, slots, group.offset) if slots else iter(())
        try:
            for batch in batches:
                _learn(run, item, batch)
                run.behind[item.name] = batch.slot
                if batch.slot < parts[-1][-1] and enough():
                    return False
        finally:
            close(batches)
    return True


def _learn(run: RuleEvaluator, item: StoredState, batch: EventBatch) -> None:
    """Update a strategy's state with one batch of history, and note models without a verdict."""
    run.live.grow(len(run.table), run.strategy, run.parts)
    batch = taken(batch, run.rule)
    if item.live.state is not None and len(batch) and batch.cause is Cause.NONE:
        state = item.live.state[batch.index]
        if item.strategy.inherits:
            none_known = np.zeros(len(run.live.known), np.bool_)  # the stored state may be older than a known model
            inherit(item.strategy, state, batch.index, item.live.state, none_known, run.table)
        verdicts = judge(item.strategy, batch, state, run.rule, item.query, np.zeros(len(batch), np.int64))
        item.live.state[batch.index] = state
        since = run.live.since[batch.index]
        one_of_many = np.full(len(batch), Code.INCONCLUSIVE, np.int8)  # the verdict of a condition is not the rule's
        note(since, one_of_many if run.parts else verdicts.code, verdicts.cause, batch.slot)
        run.live.since[batch.index] = since


def _failed(
    run: RuleEvaluator, item: StoredState, group: Group, last: Timestamp, tries: int, error: SourceError
) -> bool:
    """Record a failed history query, and return True if it was the last attempt."""
    if tries == 1:
        extra = {"rule": run.rule.name, "error": str(error)}
        log.warning("history query for a strategy failed and will be retried", extra=extra)
    run.tries[item.name] = (tries, last + group.interval * 2**tries)
    return tries >= MOST_TRIES


def time_budget(interval: Duration, clock: Callable[[], float]) -> Callable[[], bool]:
    """Return a function that is True once a tick has spent its time on history: a fifth of `interval`, 1 to 10 s."""
    end = clock() + min(max(interval / 5000, 1.0), 10.0)
    return lambda: clock() >= end
