"""Labels of firing and pending alerts across restarts: they are identity in Alertmanager and must not change."""

from __future__ import annotations

import msgspec
import numpy as np

from bridge.domain.times import Timestamp
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.state import json_chunk
from bridge.ports import StateChunk

Labels = dict[str, str]
_labels = msgspec.json.Decoder(list[tuple[Labels, Labels]])  # of each model: of the series, and expanded ones


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
    return StateChunk(name, run.fingerprint, slot, models, msgspec.json.encode(found) if rows else b"")


def restore(run: RuleEvaluator, stored: dict[tuple[str, str], StateChunk]) -> None:
    """Give the rule the labels that are stored of it."""
    found = json_chunk.take(run, _name(run), stored, _labels)
    if found is None:
        return
    chunk, labels = found
    for model, (series, expanded) in zip(chunk.models, labels, strict=True):
        row = run.table.row(model)
        run.texts.series[row] = {**series, **model.labels()}
        if expanded:
            run.texts.expanded[row] = expanded


def _name(run: RuleEvaluator) -> str:
    return f"{run.rule.name}#labels"


def _beyond_model(run: RuleEvaluator, row: int) -> tuple[Labels, Labels]:
    """Return the labels of the series but for the model's, where texts show them, and the expanded ones of the rule."""
    shown = run.texts.carries_series or run.texts.annotation_templates
    series = run.texts.series.get(row, {}) if shown else {}
    model = run.table[row].labels()
    return {name: text for name, text in series.items() if name not in model}, dict(run.texts.expanded.get(row, {}))
