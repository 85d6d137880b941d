"""Reads of past slots by range queries on one grid, in chunks that bound memory on client and server.

An expression that would mean something else in a range query is read by one instant query per slot.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import pairwise

from bridge.domain.batch import VALUE, EventBatch
from bridge.domain.rule import SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.ports.history import HistoryChunk, SingleSlotChunk
from bridge.sources.chunk import FetchedChunk, Shared, prefetch
from bridge.sources.failures import TOO_MUCH, AttemptError
from bridge.sources.limits import Limit, limit_of, weakest
from bridge.sources.matrix import Grid
from bridge.sources.pointwise import depends_on_range
from bridge.sources.reading import GridColumn, Reader

MOST_POINTS = 11_000  # per range query; Prometheus refuses more
FIRST_POINTS = 5  # of the first chunk, while the number of series is unknown
_GROWTH = 8
_CUT = 4


def runs(slots: Sequence[Timestamp]) -> Iterator[Sequence[Timestamp]]:
    """Split the slots where their spacing changes."""
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
    """Yield one batch per slot, in order. Raises SourceError at the slot where an instant query would."""
    for chunk in _chunks(reader, query, slots, offset, most_samples):
        for index in range(len(chunk.slots)):
            yield chunk.batch(index)


def walk_in_step(
    reader: Reader, queries: Sequence[SignalQuery], slots: Sequence[Timestamp], offset: Duration, most_samples: int
) -> list[Iterator[HistoryChunk]]:
    """Return one iterator of chunks per query, to be advanced in step; the next chunks are prefetched.

    Queries that differ only in a limit at the end of the expression are sent once, with the weakest limit.
    """
    alike: dict[object, list[tuple[SignalQuery, Limit]]] = {}
    for query in queries:
        limit = limit_of(query.exprs[VALUE]) if set(query.exprs) == {VALUE} and pointwise(query) else None
        if limit is not None:
            alike.setdefault((limit.left, limit.sign, query.mapping), []).append((query, limit))
    walks: dict[str, Iterator[HistoryChunk]] = {}
    for same in alike.values():
        least = weakest(limit for _, limit in same)
        base = next(query for query, limit in same if limit == least)
        if len(same) > 1:
            shared = Shared(prefetch(fetched(reader, base, slots, offset, most_samples)))
            walks |= {query.name: shared.derived(query, limit) for query, limit in same}
    return [
        walks.get(query.name) or prefetch(_chunks(reader, query, slots, offset, most_samples)) for query in queries
    ]  # fmt: skip


def pointwise(query: SignalQuery) -> bool:
    """Return whether a range query evaluates every slot as an instant query would."""
    return not any(map(depends_on_range, query.exprs.values()))


def _chunks(
    reader: Reader, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration, most_samples: int
) -> Generator[HistoryChunk, None, None]:
    if pointwise(query):
        yield from fetched(reader, query, slots, offset, most_samples)
    else:
        yield from (SingleSlotChunk(reader.instant(query, slot, slot - offset)) for slot in slots)


def fetched(
    reader: Reader, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration, most_samples: int
) -> Generator[FetchedChunk, None, None]:
    """Yield chunks, in order, that together cover every slot. Raises SourceError."""
    try:
        for run in runs(slots):
            yield from _fetched_run(reader, query, run, offset, most_samples)
    finally:
        reader.forget(query)


def _fetched_run(
    reader: Reader, query: SignalQuery, run: Sequence[Timestamp], offset: Duration, most_samples: int
) -> Iterator[FetchedChunk]:
    step = run[1] - run[0] if len(run) > 1 else 1000
    done, size, most = 0, FIRST_POINTS, MOST_POINTS
    while done < len(run):
        grid = Grid(run[done] - offset, step, min(size, len(run) - done))
        try:
            columns = _query(reader, query, grid)
        except AttemptError as error:
            if error.reason not in TOO_MUCH or grid.count == 1:
                raise
            size = most = max(1, grid.count // _CUT)  # and never longer again: a failed query costs the server most
            continue
        yield FetchedChunk(reader, query, run[done : done + grid.count], columns)
        done += grid.count
        size = min(most, _next_size(size, columns, most_samples))


def _query(reader: Reader, query: SignalQuery, grid: Grid) -> list[GridColumn]:
    ends = reader.api.deadline()
    return [reader.over(query, name, grid, ends) for name in query.exprs]


def _next_size(size: int, columns: list[GridColumn], most_samples: int) -> int:
    """Return as many points as the number of series allows, growing gradually: more series may appear."""
    series = max(1, *(len(column.samples.metrics) for column in columns))
    return max(1, min(size * _GROWTH, most_samples // series))
