"""A clock that runs ahead of the one that has the samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bridge.authoring.unit_tests.shifted import ShiftedSource
from bridge.domain.batch import UPDATED, VALUE, EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery
from bridge.ports import Sample
from bridge.ports.history import HistoryChunk

QUERY = SignalQuery("drift", EventKind.DRIFT, {VALUE: "x"})


class Source:
    """Its value is the instant that was asked for, in ms; `updated` the same in seconds."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def instant(self, query: SignalQuery, slot: int, at: int, retry_for: int | None = None) -> EventBatch:
        self.asked.append((slot, at))
        columns = {VALUE: np.array([float(at)]), UPDATED: np.array([at / 1000])}
        return EventBatch(query.name, EventKind.DRIFT, slot, ModelTable(), np.array([0], np.int32), columns)

    def history(self, query: SignalQuery, slots: Sequence[int], offset: int) -> Iterator[EventBatch]:
        return (self.instant(query, slot, slot - offset) for slot in slots)

    def evaluate(self, expr: str, at: int, server: str = "") -> list[Sample]:
        return [Sample({"expr": expr}, float(at))]


class WholePiece:
    """Two slots at once."""

    def __init__(self, source: Source, slots: Sequence[int]) -> None:
        self.slots = slots
        self.source = source

    def batch(self, index: int) -> EventBatch:
        return self.source.instant(QUERY, self.slots[index], self.slots[index])

    def whole(self) -> tuple[EventBatch, np.ndarray[tuple[int], np.dtype[np.intp]]]:
        return self.batch(0), np.array([0])


class ChunkedHistorySource(Source):
    """One that gives pieces, and notes when their walk is given up."""

    closed = False

    def chunks(self, queries: Sequence[SignalQuery], slots: Sequence[int], offset: int) -> list[Iterator[HistoryChunk]]:
        return [self._walk(slots) for _ in queries]

    def _walk(self, slots: Sequence[int]) -> Iterator[HistoryChunk]:
        try:
            yield WholePiece(self, slots)
            yield WholePiece(self, slots)
        finally:
            self.closed = True


def test_the_query_of_a_template_reads_earlier() -> None:
    """At the instant of the samples, not of the engine's clock."""
    assert ShiftedSource(Source(), 1_000_000).evaluate("up", 1_060_000) == [Sample({"expr": "up"}, 60_000.0)]


def test_queries_are_earlier_and_results_are_later() -> None:
    """The slot and the time of an update move; the value does not."""
    source = Source()
    batch = ShiftedSource(source, 1_000_000).instant(QUERY, 1_060_000, 1_050_000)
    assert source.asked == [(60_000, 50_000)]
    assert (batch.slot, batch.columns[VALUE].tolist(), batch.columns[UPDATED].tolist()) == (1_060_000, [50_000], [1050])


def test_history_is_the_same_slot_by_slot() -> None:
    """Of slots in a range or a list."""
    for slots in (range(1_000_000, 1_120_000, 60_000), [1_000_000, 1_060_000]):
        source = Source()
        found = list(ShiftedSource(source, 1_000_000).history(QUERY, slots, 10_000))
        assert source.asked == [(0, -10_000), (60_000, 50_000)]
        assert [batch.slot for batch in found] == [1_000_000, 1_060_000]


def test_pieces_move_as_a_whole() -> None:
    """Of a source that has pieces, and of one that has none; a walk that is given up is given up there too."""
    source = ChunkedHistorySource()
    (walk,) = ShiftedSource(source, 1_000_000).chunks([QUERY], range(1_000_000, 1_120_000, 60_000), 0)
    piece = next(walk)
    assert piece.slots == range(1_000_000, 1_120_000, 60_000)
    assert piece.batch(1).slot == 1_060_000
    whole = piece.whole()
    assert whole is not None
    assert (whole[0].slot, whole[0].columns[UPDATED].tolist()) == (1_000_000, [1000])
    walk.close()  # type: ignore[attr-defined]
    assert source.closed
    (walk,) = ShiftedSource(Source(), 1_000_000).chunks([QUERY], [1_000_000], 0)
    (piece,) = walk
    assert (list(piece.slots), piece.whole()) == ([1_000_000], None)
