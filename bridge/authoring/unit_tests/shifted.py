"""A metric source whose clock runs ahead of the one that has the samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import UPDATED, EventBatch
from bridge.domain.rule import DEFAULT_SERVER, SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.ports import MetricSource, Sample
from bridge.ports.history import HistoryChunk, close, history_chunks


@dataclass(frozen=True, slots=True)
class ShiftedSource:
    """A ports.MetricSource, in pieces too: the slot `t` here is `t - by` there."""

    source: MetricSource
    by: Duration

    def instant(
        self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: Duration | None = None
    ) -> EventBatch:
        """Return the batch of an earlier instant. Raises SourceError."""
        return self._moved(self.source.instant(query, slot - self.by, at - self.by, retry_for))

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """Return the batches of earlier slots. Raises SourceError."""
        yield from map(self._moved, self.source.history(query, _slots(slots, -self.by), offset))

    def chunks(
        self, queries: Sequence[SignalQuery], slots: Sequence[Timestamp], offset: Duration
    ) -> Sequence[Iterator[HistoryChunk]]:
        """Return the batches of earlier slots. Raises SourceError."""
        return [self._walk(walk) for walk in history_chunks(self.source, queries, _slots(slots, -self.by), offset)]

    def evaluate(self, expr: str, at: Timestamp, server: str = DEFAULT_SERVER) -> Sequence[Sample]:
        """Return the result of an instant query at an earlier instant. Raises SourceError."""
        return self.source.evaluate(expr, at - self.by, server)

    def _walk(self, walk: Iterator[HistoryChunk]) -> Iterator[HistoryChunk]:
        try:
            for piece in walk:
                yield _ShiftedPiece(piece, _slots(piece.slots, self.by), self)
        finally:
            close(walk)

    def _moved(self, batch: EventBatch) -> EventBatch:
        columns = batch.columns
        if UPDATED in columns:
            columns = {**columns, UPDATED: columns[UPDATED] + self.by / 1000}
        return replace(batch, slot=batch.slot + self.by, columns=columns)


@dataclass(frozen=True, slots=True)
class _ShiftedPiece:
    piece: HistoryChunk
    slots: Sequence[Timestamp]
    owner: ShiftedSource

    def batch(self, index: int) -> EventBatch:
        return self.owner._moved(self.piece.batch(index))

    def whole(self) -> tuple[EventBatch, NDArray[np.intp]] | None:
        found = self.piece.whole()
        return None if found is None else (self.owner._moved(found[0]), found[1])


def _slots(slots: Sequence[Timestamp], by: Duration) -> Sequence[Timestamp]:
    if isinstance(slots, range):
        return range(slots.start + by, slots.stop + by, slots.step)
    return [slot + by for slot in slots]
