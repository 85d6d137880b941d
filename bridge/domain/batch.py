"""Samples of one signal for all models in one slot, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bridge.domain.errors import MissingDataError
from bridge.domain.event import Custom, Drift, InferenceError, Latency, ModelEvent
from bridge.domain.histogram import means
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Cause, Floats

Rows = NDArray[np.int32]
VALUE, ERRORS, TOTAL, COUNT, UPDATED, DISCOVER = "value", "errors", "total", "n", "updated", "discover"
BUCKETS, REFERENCE, SUM, REFERENCE_SUM = "buckets", "reference", "sum", "reference_sum"
HISTOGRAMS = frozenset({BUCKETS, REFERENCE})


class EventKind(StrEnum):
    """Kind of ModelEvent that a signal's samples represent. A closed set, so it is safe as a metric label."""

    LATENCY = "latency"
    DRIFT = "drift"
    INFERENCE_ERROR = "inference_error"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Samples of one signal for the k models that reported in one slot.

    name: name of the signal, or of the rule for an `expr` rule.
    slot: evaluation time.
    table: model table that `index` refers to.
    index: int32 (k,), row in `table` of each element, without duplicates.
    columns: by name, in the signal's unit; a missing sample is NaN.
        `value`, or `errors` and `total`, and `n`: float64 (k,).
        `updated`: float64 (k,), when the sample was computed, in seconds since the epoch.
        `discover`: float64 (k,), present for models that must report.
        `buckets`, `reference`: float64 (k, b), cumulative counts at the upper bounds `bounds`; NaN at a bound that
        the model's histogram does not have.
        `sum`, `reference_sum`: float64 (k,), sum of the observations.
    bounds: float64 (b,), upper bounds of the histogram columns.
    unit_ms: for latency, milliseconds per unit of `value` (1000 for seconds).
    series: k label sets as JSON objects in bytes, of the `value` column or else the first one; for explanations.
    cause: PARTIAL if the response may be incomplete, so that an absent model proves nothing; else NONE.
    notes: warnings of the server, for display.
    elements: number of series in the responses.
    skipped: reason -> number of series that were not used (elements = used + skipped).
    """

    name: str
    event: EventKind
    slot: Timestamp
    table: ModelTable
    index: Rows
    columns: Mapping[str, Floats]
    bounds: Floats | None = None
    unit_ms: float = 1.0
    series: Sequence[bytes] = ()
    cause: Cause = Cause.NONE
    notes: tuple[str, ...] = ()
    elements: int = 0
    skipped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __len__(self) -> int:
        return len(self.index)

    def column(self, name: str) -> Floats:
        """Return column `name`. Raises MissingDataError if the signal has no such column."""
        try:
            return self.columns[name]
        except KeyError:
            have = ", ".join(sorted(self.columns)) or "none"
            raise MissingDataError(f"signal {self.name!r} has no column {name!r}; it has: {have}") from None

    def values(self) -> Floats:
        """Return the numbers that limits are compared with, float64 (k,).

        These are `value`, else errors / total (0/0 is NaN: no traffic), else the mean of `buckets`: exact if there is a
        `sum`,
        else estimated from the bucket bounds.
        """
        if VALUE in self.columns or not {ERRORS, BUCKETS} & self.columns.keys():
            return self.column(VALUE)
        if ERRORS not in self.columns:
            return means(self.column(BUCKETS), self.bounds, self.columns.get(SUM))
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.column(ERRORS) / self.column(TOTAL)

    def event_at(self, position: int) -> ModelEvent:
        """Return the element at `position` as the event that a strategy's `analyse` accepts."""
        value = float(self.values()[position])
        match self.event:
            case EventKind.LATENCY:
                return Latency(self.slot, value * self.unit_ms)
            case EventKind.DRIFT:
                return Drift(self.slot, value)
            case EventKind.INFERENCE_ERROR:
                return InferenceError(self.slot, self.name, value)
            case EventKind.CUSTOM:
                return Custom(self.slot, self.name, {"value": value})

    def reporting(self) -> tuple[EventBatch, Rows]:
        """Return the models that report a number, and the rows of models that only `discover` lists."""
        others = [column for name, column in self.columns.items() if name not in {DISCOVER, UPDATED, COUNT}]
        silent = np.logical_and.reduce([np.isnan(column.T).reshape(-1, len(self)).all(axis=0) for column in others])
        silent &= ~np.isnan(self.columns[DISCOVER])
        if not silent.any():
            return self, self.index[:0]
        here = np.flatnonzero(~silent)
        columns = {name: column[here] for name, column in self.columns.items()}
        series = [self.series[position] for position in here.tolist()] if self.series else ()
        return replace(self, index=self.index[here], columns=columns, series=series), self.index[silent]

    @staticmethod
    def of_event(model: ModelKey, event: ModelEvent) -> EventBatch:
        """Return a batch of one event. Raises MissingDataError if the event has no number to compare."""
        match event:
            case Latency(timestamp, value):
                kind, name = EventKind.LATENCY, "latency"
            case Drift(timestamp, value):
                kind, name = EventKind.DRIFT, "drift"
            case InferenceError(timestamp, _, value):
                kind, name = EventKind.INFERENCE_ERROR, "error rate"
            case Custom(timestamp, name, {"value": int() | float() as value}):
                kind = EventKind.CUSTOM
            case _:
                raise MissingDataError(f"{type(event).__name__} has no number that this strategy can compare")
        table = ModelTable()
        index = np.array([table.row(model)], np.int32)
        return EventBatch(name, kind, timestamp, table, index, {VALUE: np.array([value], np.float64)}, elements=1)
