"""Batches: numbers, events and models that do not report."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.errors import MissingDataError
from bridge.domain.event import Custom, Drift, InferenceError, Latency, ModelEvent
from bridge.domain.model import ModelKey, ModelTable

A, B = ModelKey("shop", "ranking", "7"), ModelKey("shop", "search", "2")


def batch(kind: EventKind = EventKind.DRIFT, unit_ms: float = 1.0, **columns: list[float]) -> EventBatch:
    table = ModelTable()
    index = np.array([table.row(model) for model in (A, B)], np.int32)
    arrays = {name: np.array(column, np.float64) for name, column in columns.items()}
    return EventBatch("signal", kind, 5000, table, index, arrays, unit_ms=unit_ms)


def test_a_ratio_of_errors_and_total_is_the_value() -> None:
    """Without traffic it is NaN."""
    values = batch(errors=[1.0, 0.0], total=[4.0, 0.0]).values()
    assert values[0] == 0.25
    assert np.isnan(values[1])


def test_a_missing_column_is_named_with_the_existing_ones() -> None:
    """The message lists the columns in order."""
    with pytest.raises(MissingDataError, match=r"signal 'signal' has no column 'n'; it has: errors, total"):
        batch(errors=[1.0, 0.0], total=[4.0, 1.0]).column("n")


@pytest.mark.parametrize(
    ("kind", "unit_ms", "event"),
    [
        (EventKind.LATENCY, 1000.0, Latency(5000, 500.0)),
        (EventKind.DRIFT, 1.0, Drift(5000, 0.5)),
        (EventKind.INFERENCE_ERROR, 1.0, InferenceError(5000, "signal", 0.5)),
        (EventKind.CUSTOM, 1.0, Custom(5000, "signal", {"value": 0.5})),
    ],
)
def test_an_element_is_the_event_of_its_kind(kind: EventKind, unit_ms: float, event: ModelEvent) -> None:
    """Latencies are converted to milliseconds."""
    assert batch(kind, unit_ms, value=[0.1, 0.5]).event_at(1) == event


def test_a_model_that_only_discover_returns_is_silent() -> None:
    """It leaves the batch, and its row is returned."""
    reporting, silent = batch(value=[0.1, np.nan], discover=[1.0, 1.0]).reporting()
    assert (reporting.index.tolist(), silent.tolist()) == ([0], [1])
    whole, nobody = batch(value=[0.1, np.nan], discover=[1.0, np.nan]).reporting()
    assert (whole.index.tolist(), nobody.tolist()) == ([0, 1], [])


def test_a_single_event_is_a_batch_of_one() -> None:
    """An event without a number is refused."""
    one = EventBatch.of_event(B, Custom(7, "queue", {"value": 3}))
    assert (one.name, one.slot, one.table[0], one.values().tolist()) == ("queue", 7, B, [3.0])
    with pytest.raises(MissingDataError, match="Custom has no number"):
        EventBatch.of_event(B, Custom(7, "note", "text"))
