"""Models that a rule would never evaluate, found by replaying recent days through its strategy."""

from __future__ import annotations

import numpy as np

from bridge.domain.errors import SourceError, StrategyError
from bridge.domain.model import ModelKey
from bridge.domain.rule import Group, Rule, SignalQuery, StrategySpec
from bridge.domain.times import DAY, Duration, Timestamp
from bridge.engine.evaluation.judge import judge
from bridge.engine.evaluation.never_judged import note, overdue, patience_of
from bridge.ports import MetricSource
from bridge.strategies.base import RetrainStrategy
from bridge.strategies.registry import build

MOST_SLOTS = 12_000  # two days at one slot every 15 s, 16 days at one every 2 min; longer replays are skipped
MARGIN = 10  # extra slots before the time in which a strategy must reach a verdict
LONGEST: Duration = 8 * DAY  # of a second replay: a counter may be updated once a day, and a window may take longer


def never_judged(
    group: Group, rule: Rule, query: SignalQuery, spec: StrategySpec, source: MetricSource, now: Timestamp
) -> list[ModelKey]:
    """Return models with samples for longer than twice the warm-up before `now` and without a single verdict.

    If there are any, a longer time is replayed, and those count that have no verdict there, either. Empty where
    Prometheus or the strategy fails, or where the replay would be too long.
    """
    strategy = build(spec)
    patience = patience_of((strategy,), 0)
    last, most = group.slot_at(now), MOST_SLOTS * group.interval
    first = patience // group.interval * group.interval + MARGIN * group.interval
    if first >= most:
        return []
    try:
        found = _replayed(group, rule, query, strategy, source, (last - first, last))
        if not found:
            return []
        longer = max(first, min(LONGEST, most - group.interval) // group.interval * group.interval)
        still = set(_replayed(group, rule, query, strategy, source, (last - longer, last)))
    except (SourceError, StrategyError):
        return []
    return [model for model in found if model in still]


def _replayed(
    group: Group, rule: Rule, query: SignalQuery, strategy: RetrainStrategy, source: MetricSource,
    span: tuple[Timestamp, Timestamp],
) -> list[ModelKey]:  # fmt: skip
    """Return models without a verdict in the slots from the first to the last of `span`."""
    since, state, table = np.zeros(0, np.int64), strategy.new_state(0), None
    for batch in source.history(query, range(span[0], span[1] + 1, group.interval), group.offset):
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
    late = overdue(since, span[1], patience_of((strategy,), 0))
    return [] if table is None else [table[row] for row in late.tolist()]
