"""What strategies remember, kept over restarts: written in chunks, and rebuilt from history where a chunk is old."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bridge.domain.errors import SourceError, StrategyError
from bridge.domain.rule import Group, SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.engine.parts import PartColumns
from bridge.engine.readings import Readings
from bridge.engine.rule_run import RuleRun
from bridge.ports import MetricSource, StateChunk
from bridge.strategies.base import RetrainStrategy, guarded

log = logging.getLogger(__name__)

SMALL = 256 * 1024  # bytes: a rule with so little is written in every slot
EVERY = 10  # slots, for those with more


@dataclass(frozen=True, slots=True)
class Kept:
    """One stateful strategy of a rule: its own, or that of a condition. name: of its chunk."""

    name: str
    strategy: RetrainStrategy
    query: SignalQuery
    live: Readings | PartColumns
    staged: Readings | PartColumns


def kept(run: RuleRun) -> Iterator[Kept]:
    """The stateful strategies of a rule."""
    if run.strategy is not None and run.strategy.state_dtype is not None:
        yield Kept(run.rule.name, run.strategy, run.query, run.live, run.staged)
    for place, part in enumerate(run.parts):
        if part.strategy is not None and part.strategy.state_dtype is not None:
            name = f"{run.rule.name}[{place}]"
            yield Kept(name, part.strategy, part.query, run.live.parts[place], run.staged.parts[place])


def chunks(run: RuleRun, group: Group, slot: Timestamp) -> list[StateChunk]:
    """What has to be written in this slot."""
    found: list[StateChunk] = []
    for item in kept(run):
        state = item.staged.state
        if state is None:
            continue
        data = state.tobytes()
        due = len(data) <= SMALL or slot - run.state_slots.get(item.name, 0) >= EVERY * group.interval
        if due:
            run.state_slots[item.name] = slot
            models = tuple(run.table.models[: len(state)])
            found.append(StateChunk(item.name, run.fingerprint, slot, models, data))
    return found


def restore(run: RuleRun, stored: dict[tuple[str, str], StateChunk]) -> None:
    """Take over what is stored of the same rule and meaning; bytes of another form are left."""
    for item in kept(run):
        chunk = stored.pop((item.name, run.fingerprint), None)
        dtype = item.strategy.state_dtype
        if chunk is None or dtype is None:
            continue
        if len(chunk.data) != len(chunk.models) * dtype.itemsize:
            log.warning("strategy state has another form and starts anew", extra={"rule": run.rule.name})
            continue
        slots = [run.table.slot(model) for model in chunk.models]
        run.live.grow(len(run.table), run.strategy, run.parts)
        state = item.live.state
        if state is not None:
            state[slots] = np.frombuffer(chunk.data, dtype)
        run.state_slots[item.name] = run.behind[item.name] = chunk.slot


def rebuild(run: RuleRun, group: Group, source: MetricSource, last: Timestamp, limit: Duration) -> None:
    """Let strategies see the slots again that were judged after their chunk was written, at most `limit` ms of them.

    Only their memory changes: what was decided stays decided.
    """
    for item in kept(run):
        since = run.behind.pop(item.name, last)
        first = max(since + group.interval, last - limit)
        slots = tuple(range(group.slot_at(first), last + 1, group.interval)) if first <= last else ()
        try:
            for batch in source.history(item.query, slots, group.offset) if slots else ():
                run.live.grow(len(run.table), run.strategy, run.parts)
                if item.live.state is not None and len(batch):
                    state = item.live.state[batch.index]
                    guarded(item.strategy, batch, state)
                    item.live.state[batch.index] = state
        except (SourceError, StrategyError) as error:
            log.warning("strategy state could not be rebuilt", extra={"rule": run.rule.name, "error": str(error)})
