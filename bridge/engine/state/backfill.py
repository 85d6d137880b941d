"""Lets strategies see slots that they have not seen: after a restart the last few, at a cold start all they ask for.

Only their memory changes: what was decided stays decided, and nothing is decided of the past. A long history is seen
in portions, tick by tick; until it has been seen, the rule says nothing (`warming_up`), and sees no present slot.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError, StrategyError
from bridge.domain.rule import Group
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Cause
from bridge.engine.evaluation.answers import taken
from bridge.engine.evaluation.inheritance import succeed
from bridge.engine.evaluation.judge import learn
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.state.strategy_state import COLD, StoredState, kept
from bridge.ports import MetricSource
from bridge.ports.history import close

log = logging.getLogger(__name__)

MOST_SLOTS = 10_000  # of a history: with one point for each, a single range query may hold it
NEWEST = 5_000  # of them are every slot; before, some are left out
MOST_TRIES = 6  # the waits between them double: about an hour at one slot a minute


def recall(
    run: RuleEvaluator, group: Group, source: MetricSource, last: Timestamp, limit: Duration, enough: Callable[[], bool]
) -> None:
    """Show strategies of `run` that are behind the slots up to `last`, until `enough` says to stop for now.

    limit: ms that may be caught up of what a strategy that had seen its history has missed since.
    """
    for item in kept(run):
        tries, pause_until = run.tries.get(item.name, (0, 0))
        if item.name not in run.behind or last < pause_until:
            continue
        since = run.behind[item.name]
        reach = item.strategy.history if since == COLD else max(item.strategy.history, limit)
        long = since == COLD or last - since > limit
        try:
            done = _show(run, item, group, source, _slots(group, since, last, reach), enough)
        except SourceError as error:
            done = not (long and item.strategy.history) or _failed(run, item, group, last, tries + 1, error)
            if done:
                log.warning("strategy state could not be rebuilt", extra={"rule": run.rule.name, "error": str(error)})
        except StrategyError as error:
            done = True
            log.warning("strategy state could not be rebuilt", extra={"rule": run.rule.name, "error": str(error)})
        if done:
            run.behind.pop(item.name)
            run.tries.pop(item.name, None)


def _slots(group: Group, since: Timestamp, last: Timestamp, reach: Duration) -> list[Sequence[Timestamp]]:
    """The slots after `since`, none older than `reach` before `last`; of a long time, fewer of the older ones."""
    first = max(since, last - reach, 0) + group.interval
    whole = range(group.slot_at(first), last + 1, group.interval)
    if len(whole) <= MOST_SLOTS:
        return [whole]
    older, newest = whole[:-NEWEST], whole[-NEWEST:]
    return [older[:: -(-len(older) // (MOST_SLOTS - NEWEST))], newest]


def _show(
    run: RuleEvaluator, item: StoredState, group: Group, source: MetricSource, parts: Sequence[Sequence[Timestamp]],
    enough: Callable[[], bool],
) -> bool:  # fmt: skip
    """Whether all slots were seen. Raises SourceError, StrategyError."""
    for slots in parts:
        walk = source.history(item.query, slots, group.offset) if slots else iter(())
        try:
            for batch in walk:
                _see(run, item, batch)
                run.behind[item.name] = batch.slot
                if batch.slot < parts[-1][-1] and enough():
                    return False
        finally:
            close(walk)
    return True


def _see(run: RuleEvaluator, item: StoredState, batch: EventBatch) -> None:
    run.live.grow(len(run.table), run.strategy, run.parts)
    batch = taken(batch, run.rule)
    if item.live.state is not None and len(batch) and batch.cause is Cause.NONE:
        state = item.live.state[batch.index]
        if item.strategy.inherits:
            nobody = np.zeros(len(run.live.known), np.bool_)  # also of a known one the memory may be older than itself
            succeed(item.strategy, state, batch.index, item.live.state, nobody, run.table)
        learn(item.strategy, batch, state, run.rule, item.query)
        item.live.state[batch.index] = state


def _failed(
    run: RuleEvaluator, item: StoredState, group: Group, last: Timestamp, tries: int, error: SourceError
) -> bool:
    """Whether it is given up."""
    if tries == 1:
        extra = {"rule": run.rule.name, "error": str(error)}
        log.warning("history for a strategy could not be asked and is asked again later", extra=extra)
    run.tries[item.name] = (tries, last + group.interval * 2**tries)
    return tries >= MOST_TRIES


def portions(interval: Duration, clock: Callable[[], float]) -> Callable[[], bool]:
    """When a tick has spent enough on history: a fifth of the interval, between one second and ten."""
    end = clock() + min(max(interval / 5000, 1.0), 10.0)
    return lambda: clock() >= end
