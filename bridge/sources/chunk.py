"""Results of one range query for consecutive slots of a signal: batch by batch, or all at once."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import HISTOGRAMS, EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.rule import SignalQuery
from bridge.domain.times import Timestamp
from bridge.sources.columns import Column, batch
from bridge.sources.limits import Limit
from bridge.sources.reading import GridColumn, Reader

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class FetchedChunk:
    """Part of a signal's history, fetched by one range query per column.

    slots: evenly spaced. columns: one per expression of the query, all over the same slots.
    """

    reader: Reader
    query: SignalQuery
    slots: Sequence[Timestamp]
    columns: Sequence[GridColumn]

    def batch(self, index: int) -> EventBatch:
        """Return the batch of slots[index]. Raises SourceError where an instant query would."""
        columns = {column.name: self.reader.at_point(self.query, column, index) for column in self.columns}
        return batch(self.query, self.slots[index], self.reader.table, columns)

    def whole(self) -> tuple[EventBatch, NDArray[np.intp]] | None:
        """Return the samples of all slots as one batch, and for each sample its index into `slots`.

        A model occurs once per slot. Samples are ordered by slot, those of a slot as in its own batch.
        None when this shortcut does not apply: several columns, duplicate models, a partial answer, too many series.
        """
        if len(self.columns) != 1 or self.columns[0].name in HISTOGRAMS:
            return None
        samples, layout = self.columns[0].samples, self.columns[0].layout
        elements = samples.present.sum(axis=0) + samples.histograms + samples.malformed
        many = self.query.limit and elements.max(initial=0) > self.query.limit
        if samples.partial or many or (layout.rows[1:] == layout.rows[:-1]).any():
            return None
        present, values = samples.present.T[:, layout.positions], samples.values.T[:, layout.positions]
        if present.all():  # the usual case, and much faster
            points, models = present.shape
            slot_index, rows = np.repeat(np.arange(points), models), np.tile(layout.rows, points)
            values = values.ravel()
        else:
            slot_index, element = np.nonzero(present)
            rows, values = layout.rows[element], values[present]
        column = Column(rows, values, ())
        whole = batch(self.query, self.slots[0], self.reader.table, {self.columns[0].name: column})
        return whole, slot_index

    def above(self, query: SignalQuery, limit: Limit) -> FetchedChunk:
        """Return the chunk that the same query with a stricter limit would have returned."""
        return FetchedChunk(self.reader, query, self.slots, [_filtered(item, limit) for item in self.columns])


def _filtered(column: GridColumn, limit: Limit) -> GridColumn:
    samples = column.samples
    present = samples.present & limit.holds(samples.values)
    return replace(column, samples=replace(samples, present=present))


def prefetch(chunks: Generator[T, None, None]) -> Iterator[T]:
    """Yield the same chunks while a thread fetches the next one. An exception is raised at the chunk it concerns."""
    end = object()
    with ThreadPoolExecutor(1, "history") as pool:
        try:
            pending = pool.submit(next, chunks, end)
            while (chunk := pending.result()) is not end:
                pending = pool.submit(next, chunks, end)
                yield chunk  # type: ignore[misc]
        finally:
            pending.cancel()
            pool.shutdown()
            chunks.close()


class Shared:
    """Several iterators over one stream of chunks; they advance in step, and an error is raised in each of them."""

    def __init__(self, chunks: Iterator[FetchedChunk]) -> None:
        self._chunks = chunks
        self._number = -1
        self._chunk: FetchedChunk | None = None
        self._error: SourceError | None = None

    def derived(self, query: SignalQuery, limit: Limit) -> Iterator[FetchedChunk]:
        """Yield the chunks that `query` would have returned."""
        number = 0
        while (chunk := self._at(number)) is not None:
            yield chunk.above(query, limit)
            number += 1

    def _at(self, number: int) -> FetchedChunk | None:
        if self._number < number and self._error is None:
            self._number = number
            try:
                self._chunk = next(self._chunks, None)
            except SourceError as error:
                self._error = error
        if self._error is not None:
            raise self._error
        return self._chunk
