"""Labels of firing and pending alerts across restarts: they are identity in Alertmanager and must not change."""

from __future__ import annotations

import json
import logging

import numpy as np

from bridge.domain.times import Timestamp
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.ports import StateChunk

log = logging.getLogger(__name__)


def chunk(run: RuleEvaluator, slot: Timestamp) -> StateChunk | None:
    """Return the labels to store in this slot; None: nothing has changed."""
    if run.touched is not None and not run.touched:
        return None
    name, rows, found = _name(run), [], []
    for row in np.flatnonzero(run.staged.alerts.state).tolist():
        labels = _beyond_model(run, row)
        if any(labels):
            rows.append(row)
            found.append(labels)
    if not rows and name not in run.state_slots:
        return None
    if rows:
        run.state_slots[name] = slot
    else:
        del run.state_slots[name]
    models = tuple(run.table[row] for row in rows)
    return StateChunk(name, run.fingerprint, slot, models, json.dumps(found).encode() if rows else b"")


def restore(run: RuleEvaluator, stored: dict[tuple[str, str], StateChunk]) -> None:
    """Give the rule the labels that are stored of it."""
    found = stored.pop((_name(run), run.fingerprint), None)
    if found is None:
        return
    run.state_slots[found.rule] = found.slot
    try:
        labels = json.loads(found.data)
    except ValueError:
        log.warning("stored labels of alerts cannot be read", extra={"rule": run.rule.name})
        return
    for model, (series, expanded) in zip(found.models, labels, strict=True):
        row = run.table.row(model)
        run.series[row] = {**series, **model.labels()}
        if expanded:
            run.expanded[row] = expanded


def _name(run: RuleEvaluator) -> str:
    return f"{run.rule.name}#labels"


def _beyond_model(run: RuleEvaluator, row: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels of an `expr` rule's series but for the model's, and the expanded ones of the rule."""
    series = run.series.get(row, {}) if run.carries_series else {}
    model = run.table[row].labels()
    return {name: text for name, text in series.items() if name not in model}, dict(run.expanded.get(row, {}))
