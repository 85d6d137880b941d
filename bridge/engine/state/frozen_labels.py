"""Labels of firing and pending alerts across restarts: they are identity in Alertmanager and must not change."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from bridge.domain.model import ModelKey
from bridge.domain.times import Timestamp
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.state import json_chunk
from bridge.ports import StateChunk

Labels = dict[str, str]
_MODEL = frozenset(ModelKey.__struct_fields__)
_NONE: Mapping[str, str] = {}
_labels = msgspec.json.Decoder(list[tuple[Labels, Labels]])  # of each model: of the series, and expanded ones


def chunk(run: RuleEvaluator, slot: Timestamp) -> StateChunk | None:
    """Return the labels to store in this slot; None: nothing has changed.

    They are the labels of the series but for the model's, where texts show them, and the expanded ones of the rule.
    """
    if run.touched is not None and not run.touched:
        return None
    name, rows, found = _name(run), [], []
    texts = run.texts
    shown = texts.series if texts.carries_series or texts.annotation_templates else {}
    for row in np.flatnonzero(run.staged.alerts.state).tolist():
        series = {name: text for name, text in shown.get(row, _NONE).items() if name not in _MODEL}
        expanded = texts.expanded.get(row, _NONE)
        if series or expanded:
            rows.append(row)
            found.append((series, expanded))
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
