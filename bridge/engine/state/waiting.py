"""Since when models wait for their first verdict, across restarts: the warm-up does not begin again."""

from __future__ import annotations

import logging

import numpy as np

from bridge.domain.times import Duration, Timestamp
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.state.strategy_state import EVERY, SMALL
from bridge.ports import StateChunk

log = logging.getLogger(__name__)

_MODEL_BYTES = 64  # of a stored model, about


def chunk(run: RuleEvaluator, interval: Duration, slot: Timestamp) -> StateChunk | None:
    """Return what to store in this slot; None: nothing has changed, or it is large and was written lately.

    interval: of the group, in ms.
    """
    now, name = run.staged, _name(run)
    rows = np.flatnonzero(now.known & (now.since > 0))
    content, written = rows.tobytes() + now.since[rows].tobytes(), run.state_slots.get(name)
    if content == run.waiting or (not len(rows) and written is None):
        return None
    if len(rows) * _MODEL_BYTES > SMALL and written is not None and slot - written < EVERY * interval:
        return None
    run.waiting = content
    if not len(rows):
        del run.state_slots[name]
        return StateChunk(name, run.fingerprint, slot, (), b"")
    run.state_slots[name] = slot
    models = tuple(run.table[row] for row in rows.tolist())
    return StateChunk(name, run.fingerprint, slot, models, now.since[rows].tobytes())


def restore(run: RuleEvaluator, stored: dict[tuple[str, str], StateChunk]) -> None:
    """Give the rule what is stored of it."""
    found = stored.pop((_name(run), run.fingerprint), None)
    if found is None:
        return
    run.state_slots[_name(run)] = found.slot
    if len(found.data) != len(found.models) * np.dtype(np.int64).itemsize:
        log.warning("a stored list of models without a verdict cannot be read", extra={"rule": run.rule.name})
        return
    rows = [run.table.row(model) for model in found.models]
    run.live.grow(len(run.table), run.strategy, run.parts)
    run.live.since[rows] = np.frombuffer(found.data, np.int64)


def _name(run: RuleEvaluator) -> str:
    return f"{run.rule.name}#waiting"
