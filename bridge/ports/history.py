"""History in chunks: the interface of a source that can return many slots at once."""

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
    def slots(self) -> Sequence[Timestamp]:
        """Slots of the chunk, ascending."""
        ...

    def batch(self, index: int) -> EventBatch:
        """Return the batch of slots[index]. Raises SourceError."""
        ...

    def whole(self) -> tuple[EventBatch, NDArray[np.intp]] | None:
        """Return the samples of all slots as one batch, and the index into `slots` of each element.

        Elements are in the order of the slots, within a slot in the order of its own batch; a model may occur many
        times.
        None = the slots must be read one by one.
        """
        ...


@runtime_checkable
class ChunkedHistorySource(Protocol):
    """Source that can also return its history in chunks."""

    def chunks(
        self, queries: Sequence[SignalQuery], slots: Sequence[Timestamp], offset: Duration
    ) -> Sequence[Iterator[HistoryChunk]]:
        """Return one iterator of chunks per query; the iterators are consumed in parallel.

        Raises SourceError where `history` would.
        """
        ...


@dataclass(frozen=True, slots=True)
class SingleSlotChunk:
    """Chunk of one slot, for sources that return one slot at a time."""

    one: EventBatch

    @property
    def slots(self) -> Sequence[Timestamp]:
        """The one slot."""
        return (self.one.slot,)

    def batch(self, index: int) -> EventBatch:
        """Return the batch."""
        return self.one

    def whole(self) -> None:
        """Return None: the one slot is read with `batch`."""


def history_chunks(
    source: MetricSource, queries: Sequence[SignalQuery], slots: Sequence[Timestamp], offset: Duration
) -> Sequence[Iterator[HistoryChunk]]:
    """Return one iterator of chunks per query, for any source."""
    if isinstance(source, ChunkedHistorySource):
        return source.chunks(queries, slots, offset)
    return [(SingleSlotChunk(batch) for batch in source.history(query, slots, offset)) for query in queries]


def close(batches: Iterator[Any]) -> None:
    """Close an iterator of history, and discard what was fetched ahead for it."""
    close_iterator = getattr(batches, "close", None)
    if close_iterator is not None:
        close_iterator()
