"""Numbers of firing and pending alerts across restarts: their annotations show them until the next sample."""

from __future__ import annotations

import logging

import numpy as np

from bridge.domain.times import Timestamp
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.ports import StateChunk

log = logging.getLogger(__name__)


def chunk(run: RuleEvaluator, slot: Timestamp) -> StateChunk | None:
    """Return the values and thresholds to store in this slot; None: no alert has changed."""
    if not run.texts.annotation_templates or (run.touched is not None and not run.touched):
        return None
    name, now = _name(run), run.staged
    rows = np.flatnonzero(now.alerts.state)
    if not len(rows) and name not in run.state_slots:
        return None
    if len(rows):
        run.state_slots[name] = slot
    else:
        del run.state_slots[name]
    models = tuple(run.table[row] for row in rows.tolist())
    return StateChunk(name, run.fingerprint, slot, models, np.stack([now.value[rows], now.threshold[rows]]).tobytes())


def restore(run: RuleEvaluator, stored: dict[tuple[str, str], StateChunk]) -> None:
    """Give the rule the numbers that are stored of it."""
    found = stored.pop((_name(run), run.fingerprint), None)
    if found is None:
        return
    run.state_slots[_name(run)] = found.slot
    numbers = np.frombuffer(found.data[: len(found.data) // 8 * 8])
    if len(numbers) != 2 * len(found.models):
        log.warning("stored numbers of alerts cannot be read and are discarded", extra={"rule": run.rule.name})
        return
    rows = [run.table.row(model) for model in found.models]
    run.live.grow(len(run.table), run.strategy, run.parts)
    run.live.value[rows], run.live.threshold[rows] = numbers.reshape(2, -1)


def _name(run: RuleEvaluator) -> str:
    return f"{run.rule.name}#numbers"
