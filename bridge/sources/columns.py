"""Columns of one slot: checked for duplicate models, aligned by model, and combined into an EventBatch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import ERRORS, HISTOGRAMS, REFERENCE, REFERENCE_SUM, TOTAL, EventBatch, Rows
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Cause, Floats

MOST_CELLS = 50_000_000  # of a table of histograms: 400 MB
_BESIDE = frozenset({REFERENCE, REFERENCE_SUM})  # a model that occurs only in the reference does not report now


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of one slot.

    index: int32 (k,), model rows, ascending, unique. values: float64 (k,), or (k, b) with `bounds` (b,).
    series: the k label sets. elements, skipped, notes, partial: as in decode.Samples.
    """

    index: Rows
    values: Floats
    series: Sequence[bytes]
    bounds: Floats | None = None
    elements: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    partial: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Samples ordered by model row, then by bound if they have one; all arrays (n,).

    rows: int32, the model's row. ids: number of the label set, `le` included.
    """

    rows: Rows
    bounds: Floats | None
    series: Sequence[bytes]
    values: Floats
    ids: NDArray[np.intp]


def assemble(
    name: str, table: ModelTable, buckets: Buckets, *,
    elements: int, skipped: Mapping[str, int], notes: tuple[str, ...], partial: bool,
) -> Column:  # fmt: skip
    """Return the column made of one slot's samples. Raises SourceError."""
    rows, bounds, series, values = buckets.rows, buckets.bounds, buckets.series, buckets.values
    refuse_duplicates(name, table, buckets)
    if bounds is not None:
        refuse_wide(name, rows, bounds)
        first, bounds, values = bucket_matrix(rows, bounds, values)
        rows, series = rows[first], [series[position] for position in first.tolist()]
    return Column(rows, values, series, bounds, elements, skipped, notes, partial)


def refuse_duplicates(name: str, table: ModelTable, buckets: Buckets) -> None:
    """Raise SourceError `duplicate_model` when one model (and bucket) has two samples.

    Buckets whose `le` differs only as text are not duplicates: clients write "1" and "1.0", and the counts add up.
    """
    rows, bounds, series, ids = buckets.rows, buckets.bounds, buckets.series, buckets.ids
    if len(rows) < 2:
        return
    same = rows[1:] == rows[:-1]
    if bounds is not None:
        same &= bounds[1:] == bounds[:-1]
        for index in np.flatnonzero(same).tolist():
            same[index] = series[index] != series[index + 1] or ids[index] == ids[index + 1]
    if not same.any():
        return
    first = int(np.argmax(same))
    one, other = (series[first + step].decode(errors="replace") for step in (0, 1))
    more = int(same.sum()) - 1
    raise SourceError(
        f"signal {name!r}: two series are the same model {table[int(rows[first])]}: {one} and {other}"
        + (f" (and {more} more)" if more else "")
        + "; aggregate the expression by the model's labels",
        reason="duplicate_model",
        transient=False,
    )


def refuse_flood(name: str, elements: int, limit: int) -> None:
    """Raise SourceError `limit` when an answer holds more series than the signal's limit allows."""
    if limit and elements > limit:
        raise SourceError(
            f"signal {name!r}: the answer holds {elements} series, more than limit: {limit}; nothing was evaluated",
            reason="limit",
            transient=False,
        )


def refuse_wide(name: str, rows: Rows, bounds: Floats) -> None:
    """Raise SourceError `limit` when models x distinct bounds exceed MOST_CELLS."""
    models, different = 1 + int((rows[1:] != rows[:-1]).sum()), len(np.unique(bounds))
    if models * different > MOST_CELLS:
        raise SourceError(
            f"signal {name!r}: the histograms of {models} models have {different} different bounds;"
            " use common bounds, or fewer models per signal",
            reason="limit",
            transient=False,
        )


def bucket_matrix(rows: Rows, bounds: Floats, counts: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return the position of each model's first sample, the sorted union of bounds (b,), and the counts (k, b).

    rows, bounds, counts: (n,), ordered by row, then bound; counts at the same bound add up. Counts are made monotonic
    along the bounds, because the scrapes behind an aggregate differ a little in time. A bound that a model lacks gets
    NaN, unless the counts at both neighbouring bounds are equal.
    """
    begins = np.append(True, rows[1:] != rows[:-1])[: len(rows)]
    first, row = np.flatnonzero(begins), begins.cumsum() - 1
    limits, column = np.unique(bounds, return_inverse=True)
    matrix = np.full((len(first), len(limits)), np.nan)
    repeated = np.flatnonzero((row[1:] == row[:-1]) & (column[1:] == column[:-1])) + 1
    matrix[row, column] = counts
    if len(repeated):
        matrix[row, column] = 0
        np.add.at(matrix, (row, column), counts)
    return first, limits, ascending(matrix)


def ascending(counts: Floats) -> Floats:
    """Return counts (k, b) made non-decreasing; a missing one is filled in where both neighbours are equal."""
    missing = np.isnan(counts)
    rising = np.fmax.accumulate(counts, axis=1)
    if not missing.any():
        return rising
    before, after = np.nan_to_num(rising, nan=0.0), np.where(missing, np.inf, rising)
    after = np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]
    rising[missing & (before != after)] = np.nan
    return np.where(missing & (before == after), before, rising)


def batch(query: SignalQuery, slot: Timestamp, table: ModelTable, columns: Mapping[str, Column]) -> EventBatch:
    """Return the columns of one slot aligned by model: the union of their models, except those only in a reference."""
    index, series = _union([column for name, column in columns.items() if name not in _BESIDE] or [*columns.values()])
    histograms = [columns[name].bounds for name in columns if name in HISTOGRAMS]
    bounds = np.unique(np.concatenate([item for item in histograms if item is not None])) if histograms else None
    values = {name: _spread(column, index, bounds) for name, column in columns.items()}
    if ERRORS in columns and TOTAL in columns:
        # a counter exists only once it has counted: without the series, traffic means that there were no errors
        silent = ~np.isin(index, columns[ERRORS].index) & np.isin(index, columns[TOTAL].index)
        values[ERRORS] = np.where(silent, 0.0, values[ERRORS])
    skipped: Counter[str] = Counter()
    for column in columns.values():
        if column.skipped:
            skipped.update(column.skipped)
    return EventBatch(
        name=query.name,
        event=query.event,
        slot=slot,
        table=table,
        index=index,
        columns=values,
        bounds=bounds,
        unit_ms=query.unit_ms,
        series=series,
        cause=Cause.PARTIAL if any(column.partial for column in columns.values()) else Cause.NONE,
        notes=tuple(dict.fromkeys(note[:500] for column in columns.values() for note in column.notes[:20])),
        elements=sum(column.elements for column in columns.values()),
        skipped=dict(skipped),
    )


def _union(columns: Sequence[Column]) -> tuple[Rows, Sequence[bytes]]:
    first = columns[0]
    if all(np.array_equal(column.index, first.index) for column in columns[1:]):
        return first.index, first.series
    shown: dict[int, bytes] = {}
    for column in columns:
        for row, series in zip(column.index.tolist(), column.series, strict=True):
            shown.setdefault(row, series)
    rows = sorted(shown)
    return np.array(rows, np.int32), [shown[row] for row in rows]


def _spread(column: Column, index: Rows, bounds: Floats | None) -> Floats:
    """Return the column's values aligned to the rows `index` and to `bounds`, NaN where it has none."""
    if np.array_equal(column.index, index) and (
        column.bounds is None or bounds is None or np.array_equal(column.bounds, bounds)
    ):
        return column.values
    common = np.isin(column.index, index)
    targets, values = np.searchsorted(index, column.index[common]), column.values[common]
    if column.bounds is None or bounds is None:
        spread = np.full((len(index), *values.shape[1:]), np.nan)
        spread[targets] = values
        return spread
    spread = np.full((len(index), len(bounds)), np.nan)
    spread[targets[:, None], np.searchsorted(bounds, column.bounds)] = values
    return ascending(spread)
