"""Native histograms of query results, converted to cumulative counts at their bucket bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats
from bridge.sources.columns import Buckets
from bridge.sources.failures import UNREADABLE
from bridge.sources.mapping import Layout

MOST = 2.0**53  # observations of one histogram; above, a float64 cannot represent every integer
_PLUS_INF, _INF = b'"+Inf"', b'"Inf"'


class _Histogram(msgspec.Struct, gc=False):
    """Native histogram of the HTTP API. buckets: boundary rule, lower and upper bound, count; no empty ones."""

    count: float
    buckets: list[tuple[Literal[0, 1, 2, 3], float, float, float]] = []


_histogram = msgspec.json.Decoder(_Histogram, strict=False)
_timed = msgspec.json.Decoder(tuple[float, msgspec.Raw])


@dataclass(frozen=True, slots=True, eq=False)
class Natives:
    """Buckets of the native histograms of s series.

    row: (n,), index into `metrics`, ascending. bounds, counts: (n,), counts cumulative, both ascending per series.
    malformed: number of histograms that could not be decoded.
    """

    metrics: list[bytes]
    row: NDArray[np.intp]
    bounds: Floats
    counts: Floats
    malformed: int


def of_instant(timed: Sequence[tuple[bytes, msgspec.Raw]]) -> Natives:
    """Convert the elements (label set, [time, histogram]) of an instant query."""
    bare, lost = [], 0
    for metric, text in timed:
        try:
            bare.append((metric, _timed.decode(text)[1]))
        except UNREADABLE:
            lost += 1
    return of_histograms(bare, lost)


def of_histograms(histograms: Sequence[tuple[bytes, msgspec.Raw]], malformed: int = 0) -> Natives:
    """Convert label sets with their histograms. malformed: how many were damaged before."""
    metrics, read = [], []
    for metric, text in histograms:
        try:
            one = _histogram.decode(bytes(text).replace(_PLUS_INF, _INF))
        except UNREADABLE:
            malformed += 1
            continue
        if not _sound(one):
            malformed += 1
            continue
        read.append(one)
        metrics.append(metric)
    buckets = np.array([bucket for one in read for bucket in one.buckets], np.float64).reshape(-1, 4)
    row = np.repeat(np.arange(len(read)), [len(one.buckets) for one in read])
    total = np.array([one.count for one in read], np.float64)
    return Natives(metrics, *_cumulative(row, buckets, total), malformed)


def _sound(one: _Histogram) -> bool:
    """Return whether counts are in range and bounds in order; comparisons with NaN are False."""
    whole = 0 <= one.count <= MOST
    return whole and all(0 <= count <= MOST and lower <= upper for _, lower, upper, count in one.buckets)


def _cumulative(row: NDArray[np.intp], buckets: Floats, total: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return rows, bounds and cumulative counts: at both ends of every bucket, since gaps are empty, and at +Inf."""
    whole = np.concatenate([[0.0], buckets[:, 3].cumsum()])
    start, end = np.searchsorted(row, np.arange(len(total))), np.searchsorted(row, np.arange(len(total)), "right")
    inside = whole[end] - whole[start]
    total = np.where(np.abs(total - inside) <= 1e-9 * np.abs(total), inside, total)  # equal except for rounding
    earlier = whole[start][row]
    rows = np.concatenate([row, row, np.arange(len(total))])
    bounds = np.concatenate([buckets[:, 1], buckets[:, 2], np.full(len(total), np.inf)])
    counts = np.concatenate([whole[:-1] - earlier, whole[1:] - earlier, total])
    order = np.lexsort((counts, bounds, rows))
    rows, bounds, counts = rows[order], bounds[order], counts[order]
    last = np.append((rows[1:] != rows[:-1]) | (bounds[1:] != bounds[:-1]), True)[: len(rows)]
    return rows[last], bounds[last], counts[last]


def joined(classic: Buckets, natives: Natives, layout: Layout) -> Buckets:
    """Return classic and native buckets in one order. Where a model has both, the native ones are used.

    layout: maps the series of `natives` to model rows.
    """
    index = np.full(len(natives.metrics), -1)
    index[layout.positions] = np.arange(len(layout.positions))
    mapped = np.flatnonzero(index[natives.row] >= 0)
    source = index[natives.row[mapped]]
    kept = np.flatnonzero(~np.isin(classic.rows, layout.rows))
    rows = np.concatenate([classic.rows[kept], layout.rows[source]])
    bounds = np.concatenate([np.empty(0) if classic.bounds is None else classic.bounds[kept], natives.bounds[mapped]])
    series = [classic.series[item] for item in kept.tolist()] + [layout.series[item] for item in source.tolist()]
    order = np.lexsort((bounds, rows))
    return Buckets(
        rows[order],
        bounds[order],
        [series[item] for item in order.tolist()],
        np.concatenate([classic.values[kept], natives.counts[mapped]])[order],
        np.concatenate([classic.ids[kept], layout.ids[source]])[order],
    )
