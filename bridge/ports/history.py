"""History in pieces: what a source gives that can say more of many slots than of one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch
from bridge.domain.rule import SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.ports import MetricSource


class HistoryChunk(Protocol):
    """Consecutive slots of a signal."""

    @property
    def slots(self) -> Sequence[Timestamp]: ...

    def batch(self, place: int) -> EventBatch:
        """The batch of slots[place]. Raises SourceError."""
        ...

    def whole(self) -> tuple[EventBatch, NDArray[np.intp]] | None:
        """The samples of all slots as one batch, in which a model may come often, and the place of each in `slots`.

        In the order of the slots, those of a slot in the order of its own batch.
        None when the slots have to be looked at one by one.
        """
        ...


@runtime_checkable
class ChunkedHistorySource(Protocol):
    """A ports.MetricSource that also gives its history in pieces."""

    def pieces(
        self, queries: Sequence[SignalQuery], slots: Sequence[Timestamp], offset: Duration
    ) -> Sequence[Iterator[HistoryChunk]]:
        """Of several queries that are walked through side by side. Raises SourceError where `history` would."""
        ...


@dataclass(frozen=True, slots=True)
class SingleSlotChunk:
    """A piece of one slot, of a source that knows no others."""

    one: EventBatch

    @property
    def slots(self) -> Sequence[Timestamp]:
        return (self.one.slot,)

    def batch(self, place: int) -> EventBatch:
        return self.one

    def whole(self) -> None:
        return None


def pieces(
    source: MetricSource, queries: Sequence[SignalQuery], slots: Sequence[Timestamp], offset: Duration
) -> Sequence[Iterator[HistoryChunk]]:
    """Walks through the history of any source."""
    if isinstance(source, ChunkedHistorySource):
        return source.pieces(queries, slots, offset)
    return [(SingleSlotChunk(batch) for batch in source.history(query, slots, offset)) for query in queries]


def close(walk: Iterator[Any]) -> None:
    """Give up a walk, and what was fetched ahead for it."""
    end = getattr(walk, "close", None)
    if end is not None:
        end()
