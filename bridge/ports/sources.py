"""Inputs of the engine: metrics and silences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.domain.batch import EventBatch
from bridge.domain.rule import DEFAULT_SERVER, SignalQuery
from bridge.domain.silence import Silence
from bridge.domain.times import Duration, Timestamp


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a query's result. labels: of its series, with the name of its metric as `__name__`."""

    labels: Mapping[str, str]
    value: float


class MetricSource(Protocol):
    """Source of samples. Every call observes a deadline and raises nothing but SourceError."""

    def instant(
        self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: Duration | None = None
    ) -> EventBatch:
        """Return the samples of every model at instant `at`, as the batch of `slot`.

        retry_for: time in ms within which a failed attempt may be repeated; None = as long as the deadline allows.
        """
        ...

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """Yield one batch per slot, in order, equal to `instant(query, slot, slot - offset)`; even spacing."""
        ...

    def evaluate(self, expr: str, at: Timestamp, server: str = DEFAULT_SERVER) -> Sequence[Sample]:
        """Return the result of an instant query at `at`, for `query` in templates. server: name of the server."""
        ...


@dataclass(frozen=True, slots=True)
class SilenceSnapshot:
    """Silences of all Alertmanagers that responded.

    fetched_at: 0 = never.
    """

    silences: tuple[Silence, ...] = ()
    fetched_at: Timestamp = 0


class Silences(Protocol):
    """Known silences, fetched by a separate job so that a tick never waits for them."""

    def snapshot(self) -> SilenceSnapshot:
        """Return the latest known silences."""
        ...
