"""What the engine asks: metrics and silences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.domain.batch import EventBatch
from bridge.domain.rule import SignalQuery
from bridge.domain.silence import Silence
from bridge.domain.times import Duration, Timestamp


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a query's result. labels: of its series, with the name of its metric as `__name__`."""

    labels: Mapping[str, str]
    value: float


class MetricSource(Protocol):
    """Asks a metric store; raises SourceError, never anything else, and never later than its deadline."""

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp) -> EventBatch:
        """The samples of every model at instant `at`, as the batch of `slot`."""
        ...

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """One batch per slot, in order, each as `instant(query, slot, slot - offset)` would give; evenly spaced."""
        ...

    def evaluate(self, expr: str, at: Timestamp) -> Sequence[Sample]:
        """Return the result of an instant query at `at`, for `query` in templates."""
        ...


@dataclass(frozen=True, slots=True)
class SilenceSnapshot:
    """The silences of all Alertmanagers that answered. fetched_at 0 = none ever did."""

    silences: tuple[Silence, ...] = ()
    fetched_at: Timestamp = 0


class Silences(Protocol):
    """What is known of silences; fetched by a job of its own, so that a tick never waits for it."""

    def snapshot(self) -> SilenceSnapshot: ...
