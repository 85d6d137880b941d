"""Models that a rule would never judge: its strategy is shown their last days, slot by slot."""

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

MOST_SLOTS = 12_000  # two days at one every 15 s; more are not asked for
MARGIN = 10  # slots before the time that a strategy has to judge in


def never_judged(
    group: Group, rule: Rule, query: SignalQuery, spec: StrategySpec, source: MetricSource, now: Timestamp
) -> list[ModelKey]:
    """Return the models that had numbers for more than two warm-ups up to `now` and were not judged once.

    None where that cannot be asked.
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
            found = judge(strategy, batch, own, rule, query, np.ones(len(batch), np.int64))
            if state is not None and own is not None:
                state[batch.index] = own
            seen = since[batch.index]
            note(seen, found.code, found.cause, batch.slot)
            since[batch.index] = seen
    except (SourceError, StrategyError):
        return []
    return [] if table is None else [table[place] for place in overdue(since, last, patience).tolist()]
