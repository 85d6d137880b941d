"""Consecutive slots of a signal as one range query answered them: batch by batch, or all at once."""

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
from bridge.sources.reading import Reader, Stretch

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class FetchedChunk:
    """slots: evenly spaced. stretches: one for each column, over the same slots."""

    reader: Reader
    query: SignalQuery
    slots: Sequence[Timestamp]
    stretches: Sequence[Stretch]

    def batch(self, place: int) -> EventBatch:
        """The batch of slots[place]. Raises SourceError where an instant query would."""
        found = {stretch.column: self.reader.at_point(self.query, stretch, place) for stretch in self.stretches}
        return batch(self.query, self.slots[place], self.reader.table, found)

    def whole(self) -> tuple[EventBatch, NDArray[np.intp]] | None:
        """The samples of all slots as one batch, in which a model may come often, and the place of each in `slots`.

        In the order of the slots, those of a slot in the order of its own batch.
        None when that is not simple: several columns, models that come twice, an answer that may not be judged.
        """
        if len(self.stretches) != 1 or self.stretches[0].column in HISTOGRAMS:
            return None
        samples, layout = self.stretches[0].samples, self.stretches[0].layout
        elements = samples.present.sum(axis=0) + samples.histograms + samples.malformed
        many = self.query.limit and elements.max(initial=0) > self.query.limit
        if samples.partial or many or (layout.slots[1:] == layout.slots[:-1]).any():
            return None
        present, values = samples.present.T[:, layout.rows], samples.values.T[:, layout.rows]
        if present.all():  # as it mostly is, and much faster
            points, models = present.shape
            place, index = np.repeat(np.arange(points), models), np.tile(layout.slots, points)
            values = values.ravel()
        else:
            place, row = np.nonzero(present)
            index, values = layout.slots[row], values[present]
        column = Column(index, values, ())
        found = batch(self.query, self.slots[0], self.reader.table, {self.stretches[0].column: column})
        return found, place

    def above(self, query: SignalQuery, limit: Limit) -> FetchedChunk:
        """What a query would have answered that is the same but for a stricter limit."""
        return FetchedChunk(self.reader, query, self.slots, [_filtered(item, limit) for item in self.stretches])


def _filtered(stretch: Stretch, limit: Limit) -> Stretch:
    samples = stretch.samples
    present = samples.present & limit.holds(samples.values)
    return replace(stretch, samples=replace(samples, present=present))


def ahead(pieces: Generator[T, None, None]) -> Iterator[T]:
    """The same, the next one fetched while the present one is used. What raises, raises where it is due."""
    end = object()
    with ThreadPoolExecutor(1, "history") as pool:
        try:
            due = pool.submit(next, pieces, end)
            while (piece := due.result()) is not end:
                due = pool.submit(next, pieces, end)
                yield piece  # type: ignore[misc]
        finally:
            due.cancel()
            pool.shutdown()
            pieces.close()


class Shared:
    """Iterators over one walk that is gone once; they advance side by side, and one error is that of all."""

    def __init__(self, pieces: Iterator[FetchedChunk]) -> None:
        self._pieces = pieces
        self._number = -1
        self._piece: FetchedChunk | None = None
        self._error: SourceError | None = None

    def derived(self, query: SignalQuery, limit: Limit) -> Iterator[FetchedChunk]:
        """The pieces as `query` would have been answered."""
        number = 0
        while (piece := self._at(number)) is not None:
            yield piece.above(query, limit)
            number += 1

    def _at(self, number: int) -> FetchedChunk | None:
        if self._number < number and self._error is None:
            self._number = number
            try:
                self._piece = next(self._pieces, None)
            except SourceError as error:
                self._error = error
        if self._error is not None:
            raise self._error
        return self._piece
