"""Models that a rule would never evaluate, found by replaying recent days through its strategy."""

from __future__ import annotations

import numpy as np

from bridge.domain.errors import SourceError, StrategyError
from bridge.domain.model import ModelKey
from bridge.domain.rule import Group, Rule, SignalQuery, StrategySpec
from bridge.domain.times import Timestamp
from bridge.engine.evaluation.judge import judge
from bridge.engine.evaluation.never_judged import note, overdue, patience_of
from bridge.ports import MetricSource
from bridge.strategies.registry import build

MOST_SLOTS = 12_000  # two days at one slot every 15 s, 16 days at one every 2 min; longer replays are skipped
MARGIN = 10  # extra slots before the time in which a strategy must reach a verdict


def never_judged(
    group: Group, rule: Rule, query: SignalQuery, spec: StrategySpec, source: MetricSource, now: Timestamp
) -> list[ModelKey]:
    """Return models with samples for longer than twice the warm-up before `now` and without a single verdict.

    Empty where Prometheus or the strategy fails, or where the replay would be too long.
    """
    strategy = build(spec)
    patience = patience_of((strategy,), 0)
    last = group.slot_at(now)
    slots = range(
        last - patience // group.interval * group.interval - MARGIN * group.interval, last + 1, group.interval
    )
    if len(slots) > MOST_SLOTS:
        return []
    since, state, table = np.zeros(0, np.int64), strategy.new_state(0), None
    try:
        for batch in source.history(query, slots, group.offset):
            table = batch.table
            more = len(table) - len(since)
            since = np.concatenate([since, np.zeros(more, np.int64)])
            fresh = strategy.new_state(more)
            if state is not None and fresh is not None:
                state = np.concatenate([state, fresh])
            own = None if state is None else state[batch.index]
            verdicts = judge(strategy, batch, own, rule, query, np.ones(len(batch), np.int64))
            if state is not None and own is not None:
                state[batch.index] = own
            seen = since[batch.index]
            note(seen, verdicts.code, verdicts.cause, batch.slot)
            since[batch.index] = seen
    except (SourceError, StrategyError):
        return []
    return [] if table is None else [table[row] for row in overdue(since, last, patience).tolist()]
