"""State of strategies across restarts: written in chunks and restored; then see backfill.py."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bridge.domain.rule import Group, SignalQuery
from bridge.domain.times import Timestamp
from bridge.engine.evaluation.columns import RuleColumns
from bridge.engine.evaluation.conditions import ConditionColumns
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.ports import StateChunk
from bridge.strategies.base import RetrainStrategy

log = logging.getLogger(__name__)

SMALL = 256 * 1024  # bytes: a rule with so little is written in every slot
EVERY = 10  # slots, for those with more
COLD: Timestamp = -1  # in RuleEvaluator.behind: nothing is known, and the strategy wants to see history first


@dataclass(frozen=True, slots=True)
class StoredState:
    """One stateful strategy of a rule: its own, or that of a condition. name: of its chunk."""

    name: str
    strategy: RetrainStrategy
    query: SignalQuery
    live: RuleColumns | ConditionColumns
    staged: RuleColumns | ConditionColumns


def kept(run: RuleEvaluator) -> Iterator[StoredState]:
    """The stateful strategies of a rule."""
    if run.strategy is not None and run.strategy.state_dtype is not None:
        yield StoredState(run.rule.name, run.strategy, run.query, run.live, run.staged)
    for place, part in enumerate(run.parts):
        if part.strategy is not None and part.strategy.state_dtype is not None:
            name = f"{run.rule.name}[{place}]"
            yield StoredState(name, part.strategy, part.query, run.live.parts[place], run.staged.parts[place])


def chunks(run: RuleEvaluator, group: Group, slot: Timestamp) -> list[StateChunk]:
    """What has to be written in this slot."""
    found: list[StateChunk] = []
    for item in kept(run):
        state = item.staged.state
        seen = run.behind.get(item.name, slot)
        if state is None or seen == COLD:
            continue
        data = state.tobytes()
        due = len(data) <= SMALL or slot - run.state_slots.get(item.name, 0) >= EVERY * group.interval
        if due:
            run.state_slots[item.name] = slot
            models = tuple(run.table.models[: len(state)])
            found.append(StateChunk(item.name, run.fingerprint, seen, models, data))
    return found


def restore(run: RuleEvaluator, stored: dict[tuple[str, str], StateChunk]) -> None:
    """Take over what is stored of the same rule and meaning; what is not there, or of another form, begins anew."""
    for item in kept(run):
        chunk = stored.pop((item.name, run.fingerprint), None)
        if chunk is not None and _take_over(run, item, chunk):
            run.state_slots[item.name] = run.behind[item.name] = chunk.slot
        elif item.strategy.history:
            run.behind[item.name] = COLD


def _take_over(run: RuleEvaluator, item: StoredState, chunk: StateChunk) -> bool:
    dtype = item.strategy.state_dtype
    if dtype is None or len(chunk.data) != len(chunk.models) * dtype.itemsize:
        log.warning("strategy state has another form and starts anew", extra={"rule": run.rule.name})
        return False
    slots = [run.table.row(model) for model in chunk.models]
    run.live.grow(len(run.table), run.strategy, run.parts)
    if item.live.state is not None:
        item.live.state[slots] = np.frombuffer(chunk.data, dtype)
    return True
