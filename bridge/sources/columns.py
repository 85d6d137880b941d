"""Columns of one slot: checked for models that come twice, laid side by side, and made into an EventBatch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import ERRORS, HISTOGRAMS, REFERENCE, REFERENCE_SUM, TOTAL, EventBatch, Slots
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Cause, Floats

MOST_CELLS = 50_000_000  # of a table of histograms: 400 MB
_BESIDE = frozenset({REFERENCE, REFERENCE_SUM})  # a model that only the past has is not there


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of one slot.

    index: int32 (k,), model slots, ascending, each once. values: float64 (k,), or (k, b) with `bounds` (b,).
    series: the k label sets. elements, skipped, notes, partial: as the answer had them.
    """

    index: Slots
    values: Floats
    series: Sequence[bytes]
    bounds: Floats | None = None
    elements: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    partial: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Samples that are ordered by model slot, and by bound where they have one; all (n,).

    ids: numbers of their label sets, `le` included.
    """

    slots: Slots
    bounds: Floats | None
    series: Sequence[bytes]
    values: Floats
    ids: NDArray[np.intp]


def assemble(
    name: str, table: ModelTable, found: Buckets, *,
    elements: int, skipped: Mapping[str, int], notes: tuple[str, ...], partial: bool,
) -> Column:  # fmt: skip
    """The column of the samples of one slot. Raises SourceError."""
    slots, bounds, series, values = found.slots, found.bounds, found.series, found.values
    refuse_twins(name, table, found)
    if bounds is not None:
        refuse_wide(name, slots, bounds)
        first, bounds, values = bucket_matrix(slots, bounds, values)
        slots, series = slots[first], [series[row] for row in first.tolist()]
    return Column(slots, values, series, bounds, elements, skipped, notes, partial)


def refuse_twins(name: str, table: ModelTable, found: Buckets) -> None:
    """SourceError `duplicate_model` when one model (and bucket) has two samples.

    Buckets that differ in the text of their `le` alone are none: clients write "1" and "1.0", both parts of one count.
    """
    slots, bounds, series, ids = found.slots, found.bounds, found.series, found.ids
    if len(slots) < 2:
        return
    same = slots[1:] == slots[:-1]
    if bounds is not None:
        same &= bounds[1:] == bounds[:-1]
        for place in np.flatnonzero(same).tolist():
            same[place] = series[place] != series[place + 1] or ids[place] == ids[place + 1]
    if not same.any():
        return
    first = int(np.argmax(same))
    one, other = (series[first + step].decode(errors="replace") for step in (0, 1))
    more = int(same.sum()) - 1
    raise SourceError(
        f"signal {name!r}: two series are the same model {table[int(slots[first])]}: {one} and {other}"
        + (f" (and {more} more)" if more else "")
        + "; aggregate the expression by the model's labels",
        reason="duplicate_model",
        transient=False,
    )


def refuse_flood(name: str, elements: int, limit: int) -> None:
    """SourceError `limit` when an answer holds more series than the signal may have."""
    if limit and elements > limit:
        raise SourceError(
            f"signal {name!r}: the answer holds {elements} series, more than limit: {limit}; nothing was judged",
            reason="limit",
            transient=False,
        )


def refuse_wide(name: str, slots: Slots, bounds: Floats) -> None:
    """SourceError `limit` when histograms have so many different bounds that a table of them does not fit."""
    models, different = 1 + int((slots[1:] != slots[:-1]).sum()), len(np.unique(bounds))
    if models * different > MOST_CELLS:
        raise SourceError(
            f"signal {name!r}: the histograms of {models} models have {different} different bounds;"
            " give them common ones, or fewer models a signal",
            reason="limit",
            transient=False,
        )


def bucket_matrix(slots: Slots, bounds: Floats, counts: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """First row of every model, the sorted bounds (b,) of all of them, and the counts (k, b).

    slots, bounds, counts: (n,), ordered by slot, then bound; counts at the same bound add up. They are made to ascend
    along the bounds (scrapes of the parts of an aggregate differ a little in time); at a bound that a model does not
    have the count is NaN, unless nothing is between its neighbours.
    """
    begins = np.append(True, slots[1:] != slots[:-1])[: len(slots)]
    first, row = np.flatnonzero(begins), begins.cumsum() - 1
    limits, column = np.unique(bounds, return_inverse=True)
    matrix = np.full((len(first), len(limits)), np.nan)
    again = np.flatnonzero((row[1:] == row[:-1]) & (column[1:] == column[:-1])) + 1
    matrix[row, column] = counts
    if len(again):
        matrix[row, column] = 0
        np.add.at(matrix, (row, column), counts)
    return first, limits, ascending(matrix)


def ascending(counts: Floats) -> Floats:
    """Counts (k, b) that do not fall. One that is missing is there where those on both sides are the same number."""
    missing = np.isnan(counts)
    found = np.fmax.accumulate(counts, axis=1)
    if not missing.any():
        return found
    before, after = np.nan_to_num(found, nan=0.0), np.where(missing, np.inf, found)
    after = np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]
    found[missing & (before != after)] = np.nan
    return np.where(missing & (before == after), before, found)


def batch(query: SignalQuery, slot: Timestamp, table: ModelTable, columns: Mapping[str, Column]) -> EventBatch:
    """The columns of one slot side by side: every model that any of them has, but for those of a reference alone."""
    index, series = _union([column for name, column in columns.items() if name not in _BESIDE] or [*columns.values()])
    histograms = [columns[name].bounds for name in columns if name in HISTOGRAMS]
    bounds = np.unique(np.concatenate([found for found in histograms if found is not None])) if histograms else None
    values = {name: _spread(column, index, bounds) for name, column in columns.items()}
    if ERRORS in columns and TOTAL in columns:
        # a counter that never counted an error does not exist: no errors, as long as there was traffic
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


def _union(columns: Sequence[Column]) -> tuple[Slots, Sequence[bytes]]:
    first = columns[0]
    if all(np.array_equal(column.index, first.index) for column in columns[1:]):
        return first.index, first.series
    shown: dict[int, bytes] = {}
    for column in columns:
        for slot, series in zip(column.index.tolist(), column.series, strict=True):
            shown.setdefault(slot, series)
    slots = sorted(shown)
    return np.array(slots, np.int32), [shown[slot] for slot in slots]


def _spread(column: Column, index: Slots, bounds: Floats | None) -> Floats:
    """The column's values at the places of `index` (and of its bounds in `bounds`), NaN where it has none."""
    if np.array_equal(column.index, index) and (
        column.bounds is None or bounds is None or np.array_equal(column.bounds, bounds)
    ):
        return column.values
    here = np.isin(column.index, index)
    rows, values = np.searchsorted(index, column.index[here]), column.values[here]
    if column.bounds is None or bounds is None:
        spread = np.full((len(index), *values.shape[1:]), np.nan)
        spread[rows] = values
        return spread
    spread = np.full((len(index), len(bounds)), np.nan)
    spread[rows[:, None], np.searchsorted(bounds, column.bounds)] = values
    return ascending(spread)
