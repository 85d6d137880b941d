"""Compares event batches as values."""

from __future__ import annotations

from typing import Any

from bridge.domain.batch import EventBatch


def plain(batch: EventBatch) -> dict[str, Any]:
    """A batch as texts and numbers that compare equal exactly when the batches say the same (NaN equals NaN)."""
    return {
        "name": batch.name,
        "event": batch.event.value,
        "slot": batch.slot,
        "models": [str(batch.table[slot]) for slot in batch.index.tolist()],
        "columns": {name: repr(column.tolist()) for name, column in batch.columns.items()},
        "bounds": None if batch.bounds is None else repr(batch.bounds.tolist()),
        "series": [text.decode() for text in batch.series],
        "cause": batch.cause.word,
        "notes": batch.notes,
        "elements": batch.elements,
        "skipped": dict(batch.skipped),
    }
