"""Decoder of range query results into a dense table: series by grid points, numbers converted in bulk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge.domain.errors import SourceError
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Floats
from bridge.sources.decode import envelope, is_partial, raw_elements, refuse_many
from bridge.sources.failures import UNREADABLE, not_prometheus

BLOCK = 1 << 20  # bytes of text whose numbers are converted at a time
MOST_CELLS = 20_000_000  # limit of a table that is much larger than the answer that fills it
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]


class _Row(msgspec.Struct, gc=False):
    metric: msgspec.Raw
    values: msgspec.Raw = msgspec.Raw()
    histograms: msgspec.Raw = msgspec.Raw()


class _MatrixData(msgspec.Struct, gc=False, rename="camel"):
    result_type: str
    result: list[_Row]


class _MatrixAnswer(msgspec.Struct, gc=False, rename="camel"):
    status: str
    data: _MatrixData
    warnings: list[str] = []
    infos: list[str] = []
    is_partial: bool = False


_fast = msgspec.json.Decoder(_MatrixAnswer)
_row = msgspec.json.Decoder(_Row)
_numbers = msgspec.json.Decoder(list[float], strict=False)
_times = msgspec.json.Decoder(list[tuple[float, msgspec.Raw]])


@dataclass(frozen=True, slots=True)
class Grid:
    """Evenly spaced instants: start, start + step, ... (`count` of them), in ms."""

    start: Timestamp
    step: Duration
    count: int

    @property
    def end(self) -> Timestamp:
        """Last instant."""
        return self.start + (self.count - 1) * self.step


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Samples of s series on a grid of p points.

    metrics: s label sets as received. values: float64 (s, p). present: bool (s, p), where there is a sample (NaN is a
    sample). The samples of one point are contiguous in memory. histograms: (p,) number of native histograms.
    malformed: damaged elements, counted at every point. notes, partial: as in Samples. natives: label sets and their
    native histograms by point, if requested.
    """

    metrics: list[bytes]
    values: Floats
    present: Flags
    histograms: Counts
    malformed: int
    notes: tuple[str, ...]
    partial: bool
    natives: list[tuple[bytes, dict[int, msgspec.Raw]]] = field(default_factory=list)


def matrix(body: bytes, grid: Grid, *, natives: bool = False) -> Matrix:
    """Decode the response of /api/v1/query_range to a query for `grid`. Raises SourceError.

    natives: return native histograms instead of only counting them.
    """
    refuse_many(body)
    rows, malformed, notes, partial = _opened(body)
    _refuse_wide(len(rows), grid, len(body))
    bad = np.zeros(len(rows), bool)
    values = np.full((len(rows), grid.count), np.nan, order="F")
    present = np.zeros((len(rows), grid.count), bool, order="F")
    numbers = 0
    for begin, end in _blocks(rows):
        numbers += _read(rows[begin:end], grid, bad[begin:end], values[begin:end], present[begin:end])
    histograms, kept = _histograms(rows, bad, present, grid)
    if len(rows) and bad.all() and numbers:
        raise not_prometheus("no sample of the range query is at a requested instant; did the server move its grid?")
    usable = np.flatnonzero(present.any(axis=1) & ~bad)
    if len(usable) < len(rows):
        values, present = np.asfortranarray(values[usable]), np.asfortranarray(present[usable])
    return Matrix(
        [bytes(rows[index].metric) for index in usable.tolist()],
        values,
        present,
        histograms,
        malformed + int(bad.sum()),
        notes,
        partial,
        kept if natives else [],
    )


def _refuse_wide(rows: int, grid: Grid, size: int) -> None:
    """Raise SourceError `limit` when the table would be large, and much larger than the answer that fills it."""
    cells = rows * grid.count
    if cells > MOST_CELLS and cells * 9 > 2 * size:
        text = f"the answer holds {rows} series at {grid.count} instants, more than the {MOST_CELLS} that fit"
        raise SourceError(text, reason="limit", transient=False)


def _blocks(rows: list[_Row]) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows with about BLOCK bytes of text each: their numbers are Python objects for a while."""
    begin, size = 0, 0
    for index, row in enumerate(rows):
        size += len(memoryview(row.values))
        if size >= BLOCK:
            yield begin, index + 1
            begin, size = index + 1, 0
    if begin < len(rows):
        yield begin, len(rows)


def _read(rows: list[_Row], grid: Grid, bad: Flags, values: Floats, present: Flags) -> int:
    """Fill in the samples of some rows; return how many numbers they held."""
    texts = [bytes(row.values) for row in rows]
    sizes, damaged = _shapes(texts)
    bad |= damaged
    numbers = _convert(texts, sizes, bad)
    values[:], present[:] = _place(numbers, sizes, bad, grid)
    return len(numbers)


def _opened(body: bytes) -> tuple[list[_Row], int, tuple[str, ...], bool]:
    """Return the well-formed elements, the number of the others, the notes, and whether the answer is partial."""
    try:
        answer = _fast.decode(body)
        if answer.status == "success" and answer.data.result_type == "matrix":
            partial = is_partial(answer.warnings) or answer.is_partial
            return answer.data.result, 0, tuple(answer.warnings + answer.infos), partial
    except UNREADABLE:
        pass
    damaged = envelope(body)
    if damaged.kind != "matrix":
        raise not_prometheus(f"a range query was answered with result type {damaged.kind[:40]!r}")
    decoded = [_row_of(element) for element in raw_elements(damaged)]
    good = [row for row in decoded if row is not None]
    return good, len(decoded) - len(good), damaged.notes, damaged.partial


def _row_of(element: msgspec.Raw) -> _Row | None:
    try:
        return _row.decode(element)
    except UNREADABLE:
        return None


# ------------------------------------------------------------ numbers
# `bad` (bool, one per row) marks damaged rows; the functions below set it.


def _shapes(texts: list[bytes]) -> tuple[Counts, Flags]:
    """Return the number of samples per row, and the damaged rows: brackets and commas of [[1,"2"],[3,"4"]] agree."""
    sizes = np.array([text.count(b"[") - 1 for text in texts], np.int64).clip(0)
    commas = np.array([text.count(b",") for text in texts], np.int64)
    bad = commas != (2 * sizes - 1).clip(0)
    for index in np.flatnonzero(sizes == 0).tolist():
        bad[index] |= texts[index].translate(None, b" \t\r\n") not in {b"", b"[]"}
    return np.where(bad, 0, sizes), bad


def _convert(texts: list[bytes], sizes: Counts, bad: Flags) -> Floats:
    """Return the rows' numbers in sequence: time, value, time, value ..."""
    used = np.flatnonzero(sizes).tolist()
    whole = _numbers_in(b",".join([texts[index] for index in used]))
    if len(whole) == 2 * sizes.sum():
        return whole
    parts = [np.empty(0)]
    for index in used:
        part = _numbers_in(texts[index])
        if len(part) == 2 * sizes[index]:
            parts.append(part)
        else:
            bad[index], sizes[index] = True, 0
    return np.concatenate(parts)


def _numbers_in(text: bytes) -> Floats:
    """Return every number in the text, quoted or not; none at all when it contains anything else."""
    flat = b"[" + text.translate(None, b"[]") + b"]"
    try:
        numbers = _numbers.decode(flat)
    except UNREADABLE:
        numbers = _plain_infinities(flat)
    return np.fromiter(numbers, np.float64, len(numbers))


def _plain_infinities(flat: bytes) -> list[float]:
    try:
        return _numbers.decode(flat.replace(b'"+Inf"', b'"Inf"'))
    except UNREADABLE:
        return []


def _place(numbers: Floats, sizes: Counts, bad: Flags, grid: Grid) -> tuple[Floats, Flags]:
    """Return values and presence (s, p); a row with a sample off the grid, or two at one point, is damaged."""
    row = np.repeat(np.arange(len(sizes)), sizes)
    with np.errstate(invalid="ignore", over="ignore"):
        exact = (numbers[0::2] * 1000 - grid.start) / grid.step
        point = np.rint(exact)
        fits = (np.abs(exact - point) * grid.step < 0.5) & (point >= 0) & (point < grid.count)
    bad[row[~fits]] = True
    row, column, fitting = row[fits], point[fits].astype(np.intp), numbers[1::2][fits]
    backwards = (row[1:] == row[:-1]) & (column[1:] <= column[:-1])
    bad[row[1:][backwards]] = True
    values = np.full((len(sizes), grid.count), np.nan)
    present = np.zeros((len(sizes), grid.count), bool)
    values[row, column] = fitting
    present[row, column] = True
    return values, present


def _histograms(
    rows: list[_Row], bad: Flags, present: Flags, grid: Grid
) -> tuple[Counts, list[tuple[bytes, dict[int, msgspec.Raw]]]]:
    """Return the number of native histograms at each point, and the histograms; a row without any sample is damaged."""
    counts = np.zeros(grid.count, np.int64)
    kept: list[tuple[bytes, dict[int, msgspec.Raw]]] = []
    for index, row in enumerate(rows):
        text = bytes(row.histograms)
        if not text:
            bad[index] |= not bytes(row.values)
            continue
        try:
            timed = _times.decode(text)
            at = np.array([at for at, _ in timed], np.float64)
        except UNREADABLE:
            bad[index] = True
            continue
        wrong = np.zeros(1, bool)
        flags = _place(np.column_stack([at, at]).ravel(), np.array([len(at)]), wrong, grid)[1]
        bad[index] |= wrong[0]
        if not bad[index]:
            counts += flags[0] & ~present[index]
            points = np.flatnonzero(flags[0]).tolist()  # in order, as the histograms are
            by_point = {point: raw for point, (_, raw) in zip(points, timed, strict=True) if not present[index, point]}
            kept.append((bytes(row.metric), by_point))
    return counts, kept
