"""Walks over past slots by range queries on one grid, in pieces that bound memory on both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from bridge.domain.batch import EventBatch
from bridge.domain.rule import SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.sources.columns import batch
from bridge.sources.failures import AttemptError
from bridge.sources.matrix import Grid
from bridge.sources.reading import Reader, Stretch

MOST_POINTS = 11_000  # of one range query, refused above
FIRST_POINTS = 5  # nothing is known of the number of series yet
_GROWTH = 8
_CUT = 4
_TOO_MUCH = {"limit", "execution", "timeout"}  # failures that a shorter piece may not have


def runs(slots: Sequence[Timestamp]) -> Iterator[Sequence[Timestamp]]:
    """The slots cut where their spacing changes."""
    steps = [after - before for before, after in pairwise(slots)]
    start = 0
    while start < len(slots):
        end = start + 1
        while end < len(slots) and steps[end - 1] == steps[start]:
            end += 1
        yield slots[start:end]
        start = end


def walk(
    reader: Reader, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration, most_samples: int
) -> Iterator[EventBatch]:
    """One batch per slot, in order. Raises SourceError at the slot where an instant query would."""
    done = 0
    for piece in fetched(reader, query, slots, offset, most_samples):
        for point in range(len(piece[0].samples.histograms)):
            found = {stretch.column: reader.at_point(query, stretch, point) for stretch in piece}
            yield batch(query, slots[done], reader.table, found)
            done += 1


def fetched(
    reader: Reader, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration, most_samples: int
) -> Iterator[list[Stretch]]:
    """Pieces of the columns, in order, that together hold every slot. Raises SourceError."""
    try:
        for run in runs(slots):
            yield from _fetched_run(reader, query, run, offset, most_samples)
    finally:
        reader.forget(query)


def _fetched_run(
    reader: Reader, query: SignalQuery, run: Sequence[Timestamp], offset: Duration, most_samples: int
) -> Iterator[list[Stretch]]:
    step = run[1] - run[0] if len(run) > 1 else 1000
    done, size, most = 0, FIRST_POINTS, MOST_POINTS
    while done < len(run):
        grid = Grid(run[done] - offset, step, min(size, len(run) - done))
        try:
            piece = _ask(reader, query, grid)
        except AttemptError as error:
            if error.reason not in _TOO_MUCH or grid.count == 1:
                raise
            size = most = max(1, grid.count // _CUT)  # and never longer again: a refusal costs the server most
            continue
        yield piece
        done += grid.count
        size = min(most, _next_size(size, piece, most_samples))


def _ask(reader: Reader, query: SignalQuery, grid: Grid) -> list[Stretch]:
    ends = reader.api.deadline()
    return [reader.over(query, name, grid, ends) for name in query.exprs]


def _next_size(size: int, piece: list[Stretch], most_samples: int) -> int:
    """As many points as the series seen allow, growing step by step: more series may come."""
    series = max(1, *(len(stretch.samples.metrics) for stretch in piece))
    return max(1, min(size * _GROWTH, most_samples // series))
