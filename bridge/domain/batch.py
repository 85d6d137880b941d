"""One signal of all models in one slot, as columns."""

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

Slots = NDArray[np.int32]
VALUE, ERRORS, TOTAL, COUNT, UPDATED, DISCOVER = "value", "errors", "total", "n", "updated", "discover"
BUCKETS, REFERENCE, SUM, REFERENCE_SUM = "buckets", "reference", "sum", "reference_sum"
HISTOGRAMS = frozenset({BUCKETS, REFERENCE})


class EventKind(StrEnum):
    """Which ModelEvent a signal's samples are; a closed set, so it may be a metric's label."""

    LATENCY = "latency"
    DRIFT = "drift"
    INFERENCE_ERROR = "inference_error"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The samples of one signal for the k models that reported in one slot.

    name: the signal's (or `expr` rule's) name. slot: the instant that is evaluated.
    table: slot number -> ModelKey. index: int32 (k,), the slot number of each element, no duplicates.
    columns: `value` | `errors` and `total` | `n`, float64 (k,), in the signal's own unit; `updated`, float64 (k,), when
    the numbers were made, in seconds since the epoch; `discover`, float64 (k,), there for models that must report;
    `buckets` and `reference`, float64 (k, b), cumulative counts at the upper bounds `bounds` (b,), NaN at a bound that
    the model's histogram does not have; `sum` and `reference_sum`, float64 (k,), of what was observed.
    A missing sample of a column is NaN.
    unit_ms: for latency, milliseconds per unit of `value` (1000 for seconds).
    series: the k label sets as JSON objects in bytes (of the `value` or first column), for explanations.
    cause: not NONE when the answer as a whole may not be trusted (PARTIAL), so that absence means nothing.
    notes: warnings of the server, for people. elements: how many series the answers held; skipped: reason -> count
    of elements that were not used (elements = used + skipped).
    """

    name: str
    event: EventKind
    slot: Timestamp
    table: ModelTable
    index: Slots
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
        """Column `name`; MissingDataError when the signal does not carry it."""
        try:
            return self.columns[name]
        except KeyError:
            have = ", ".join(sorted(self.columns)) or "none"
            raise MissingDataError(f"signal {self.name!r} has no column {name!r}; it has: {have}") from None

    def values(self) -> Floats:
        """The number that a limit is compared with: `value`, else errors / total (0/0 is NaN: no traffic), else the
        mean of `buckets`: exact where there is a `sum`, as their bounds have it otherwise."""
        if VALUE in self.columns or not {ERRORS, BUCKETS} & self.columns.keys():
            return self.column(VALUE)
        if ERRORS not in self.columns:
            return means(self.column(BUCKETS), self.bounds, self.columns.get(SUM))
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.column(ERRORS) / self.column(TOTAL)

    def event_at(self, position: int) -> ModelEvent:
        """Element `position` as the object that a strategy's `analyse` takes."""
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

    def reporting(self) -> tuple[EventBatch, Slots]:
        """The models that report a number, and the slots of those that only `discover` names."""
        others = [column for name, column in self.columns.items() if name not in {DISCOVER, UPDATED, COUNT}]
        silent = np.logical_and.reduce([np.isnan(column.T).reshape(-1, len(self)).all(axis=0) for column in others])
        silent &= ~np.isnan(self.columns[DISCOVER])
        if not silent.any():
            return self, self.index[:0]
        here = np.flatnonzero(~silent)
        columns = {name: column[here] for name, column in self.columns.items()}
        series = [self.series[place] for place in here.tolist()] if self.series else ()
        return replace(self, index=self.index[here], columns=columns, series=series), self.index[silent]

    @staticmethod
    def of_event(model: ModelKey, event: ModelEvent) -> EventBatch:
        """A batch of one, for `analyse`; MissingDataError for an event that carries no number we know."""
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
                raise MissingDataError(f"{type(event).__name__} carries no number that this strategy can compare")
        table = ModelTable()
        index = np.array([table.row(model)], np.int32)
        return EventBatch(name, kind, timestamp, table, index, {VALUE: np.array([value], np.float64)}, elements=1)
