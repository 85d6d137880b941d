"""Persistence of strategy state: written in chunks, restored at a start, then caught up by backfill.py."""

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

SMALL = 256 * 1024  # bytes: smaller state is written in every slot
EVERY = 10  # slots between two writes of larger state
COLD: Timestamp = -1  # in RuleEvaluator.behind: no state yet, the strategy needs its history first


@dataclass(frozen=True, slots=True)
class StoredState:
    """State of one stateful strategy: of the rule, or of one of its conditions.

    name: name of its chunk.
    """

    name: str
    strategy: RetrainStrategy
    query: SignalQuery
    live: RuleColumns | ConditionColumns
    staged: RuleColumns | ConditionColumns


def kept(run: RuleEvaluator) -> Iterator[StoredState]:
    """Yield the stateful strategies of a rule."""
    if run.strategy is not None and run.strategy.state_dtype is not None:
        yield StoredState(run.rule.name, run.strategy, run.query, run.live, run.staged)
    for index, part in enumerate(run.parts):
        if part.strategy is not None and part.strategy.state_dtype is not None:
            name = f"{run.rule.name}[{index}]"
            yield StoredState(name, part.strategy, part.query, run.live.parts[index], run.staged.parts[index])


def chunks(run: RuleEvaluator, group: Group, slot: Timestamp) -> list[StateChunk]:
    """Return the chunks that are due in this slot."""
    due: list[StateChunk] = []
    for item in kept(run):
        state = item.staged.state
        seen = run.behind.get(item.name, slot)
        if state is None or seen == COLD:
            continue
        data = state.tobytes()
        write = len(data) <= SMALL or slot - run.state_slots.get(item.name, 0) >= EVERY * group.interval
        if write:
            run.state_slots[item.name] = slot
            models = tuple(run.table.models[: len(state)])
            due.append(StateChunk(item.name, run.fingerprint, seen, models, data))
    return due


def restore(run: RuleEvaluator, stored: dict[tuple[str, str], StateChunk]) -> None:
    """Load stored chunks with an equal fingerprint; a strategy without a usable chunk starts from empty state."""
    for item in kept(run):
        chunk = stored.pop((item.name, run.fingerprint), None)
        if chunk is not None and _load(run, item, chunk):
            run.state_slots[item.name] = run.behind[item.name] = chunk.slot
        elif item.strategy.history:
            run.behind[item.name] = COLD


def _load(run: RuleEvaluator, item: StoredState, chunk: StateChunk) -> bool:
    """Load a chunk, and return False if its layout does not fit."""
    dtype = item.strategy.state_dtype
    if dtype is None or len(chunk.data) != len(chunk.models) * dtype.itemsize:
        log.warning("stored strategy state has another layout and is discarded", extra={"rule": run.rule.name})
        return False
    rows = [run.table.row(model) for model in chunk.models]
    run.live.grow(len(run.table), run.strategy, run.parts)
    if item.live.state is not None:
        item.live.state[rows] = np.frombuffer(chunk.data, dtype)
    return True
