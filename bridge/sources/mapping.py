"""Mapping from label sets, as bytes, to model rows: each is decoded once, then looked up by its bytes."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import Rows
from bridge.domain.limits import LONGEST_PART
from bridge.domain.model import ModelTable
from bridge.domain.rule import ModelLabels
from bridge.domain.verdict import Floats
from bridge.sources.decode import MALFORMED, number
from bridge.sources.failures import UNREADABLE

MISSING_LABEL = "missing_label"
LE = "le"
_NO_MODEL, _DAMAGED = -1, -2
_SPARE = 1024  # entries kept although no recent answer contains them
_labels = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Mapping of an answer's elements to model rows.

    positions: intp (k,), positions in the answer of the elements that have a model, ordered by row (and bound).
    rows: int32 (k,), their model rows, ascending. bounds: float64 (k,), their `le`, or None.
    series: their label sets (without `le`). damaged, unmapped: positions of the other elements.
    lacking: label -> the first label set that lacks it. ids: intp (k,), numbers of the label sets.
    """

    positions: NDArray[np.intp]
    rows: Rows
    bounds: Floats | None
    series: list[bytes]
    damaged: NDArray[np.intp]
    unmapped: NDArray[np.intp]
    lacking: dict[str, bytes]
    ids: NDArray[np.intp]

    def skipped(self) -> dict[str, int]:
        """Return reason -> count of the elements that have no model."""
        counts = {MALFORMED: len(self.damaged), MISSING_LABEL: len(self.unmapped)}
        return {reason: count for reason, count in counts.items() if count}


class SeriesIndex:
    """Index of the label sets of one mapping, by their bytes. Thread-safe.

    Bounded: entries that no query's last answer contains are dropped once they outnumber the others.
    """

    def __init__(self, mapping: ModelLabels, table: ModelTable, *, buckets: bool = False) -> None:
        self._mapping = mapping
        self._table = table
        self._buckets = buckets
        self._lock = threading.Lock()
        self._last: dict[str, tuple[list[bytes], Layout]] = {}
        self._clear()

    def _clear(self) -> None:
        self._ids: dict[bytes, int] = {}
        self._shown: list[bytes] = []
        self._rows = array("i")
        self._bounds = array("d")
        self._lacks: dict[int, str] = {}
        self._names: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def arrange(self, metrics: Sequence[bytes], user: str) -> Layout:
        """Return the layout of an answer with these label sets. user: a query that returns much the same sets again."""
        with self._lock:
            last = self._last.get(user)
            if last is not None and last[0] == metrics:
                return last[1]
            ids = self._find(metrics)
            layout = self._layout(ids, metrics, None if last is None else last[1])
            # the bytes that are stored anyway, so that the answer's own can be freed
            kept = list(metrics) if self._buckets else [self._shown[id_] for id_ in ids.tolist()]
            self._last[user] = (kept, layout)
            self._prune()
            return layout

    def users(self) -> dict[str, int]:
        """Return each user with the number of label sets in its last answer."""
        with self._lock:
            return {user: len(metrics) for user, (metrics, _) in self._last.items()}

    def forget(self, user: str) -> None:
        """Drop the last answer of a user that will not query again."""
        with self._lock:
            self._last.pop(user, None)

    def _find(self, metrics: Sequence[bytes]) -> NDArray[np.intp]:
        ids = np.fromiter(map(self._ids.get, metrics, repeat(-1)), np.intp, len(metrics))
        for position in np.flatnonzero(ids < 0).tolist():
            metric = metrics[position]
            known = self._ids.get(metric)  # the same bytes twice in one answer
            ids[position] = self._add(metric) if known is None else known
        return ids

    def _add(self, metric: bytes) -> int:
        id_ = self._ids[metric] = len(self._rows)
        row, bound, shown = self._read(metric, id_)
        self._rows.append(row)
        self._bounds.append(bound)
        self._shown.append(shown)
        return id_

    def _read(self, metric: bytes, id_: int) -> tuple[int, float, bytes]:
        """Return the model row (negative: why there is none), the bound, and the label set as it is shown."""
        try:
            labels = _labels.decode(metric)
            bound = number(labels.pop(LE)) if self._buckets and LE in labels else np.nan
        except (*UNREADABLE, ValueError):
            return _DAMAGED, np.nan, metric
        key = self._mapping.key(labels)
        if isinstance(key, str) or (self._buckets and np.isnan(bound)):
            self._lacks[id_] = key if isinstance(key, str) else LE
            return _NO_MODEL, np.nan, metric
        if any("\0" in value for value in labels.values()) or max(map(len, key.labels().values())) > LONGEST_PART:
            # PostgreSQL cannot store a NUL, and a longer part does not fit in a request
            return _DAMAGED, np.nan, metric
        return self._table.row(key), bound, self._name(labels) if self._buckets else metric

    def _name(self, labels: dict[str, str]) -> bytes:
        """Return the label set without `le`: one object for all buckets of a model."""
        text = msgspec.json.encode(labels)
        return self._names.setdefault(text, text)

    def _layout(self, ids: NDArray[np.intp], metrics: Sequence[bytes], last: Layout | None) -> Layout:
        rows = np.array(self._rows, np.int32)[ids]
        bounds = np.array(self._bounds, np.float64)[ids]
        order = np.lexsort((bounds, rows)) if self._buckets else np.argsort(rows)
        positions = order[np.searchsorted(rows[order], 0) :]
        chosen = ids[positions]
        same = last is not None and np.array_equal(chosen, last.ids)  # only the order changed: aggregates are unordered
        unmapped = np.flatnonzero(rows == _NO_MODEL)
        lacking: dict[str, bytes] = {}
        for position in unmapped.tolist():
            lacking.setdefault(self._lacks[int(ids[position])], metrics[position])
        return Layout(
            positions=positions,
            rows=rows[positions],
            bounds=bounds[positions] if self._buckets else None,
            series=last.series if same and last else [self._shown[id_] for id_ in chosen.tolist()],
            damaged=np.flatnonzero(rows == _DAMAGED),
            unmapped=unmapped,
            lacking=lacking,
            ids=chosen,
        )

    def _prune(self) -> None:
        live = sum(len(metrics) for metrics, _ in self._last.values())
        if len(self._ids) <= 2 * live + _SPARE:
            return
        kept = {user: metrics for user, (metrics, _) in self._last.items()}
        self._clear()
        self._last.clear()
        for user, metrics in kept.items():
            self._last[user] = (metrics, self._layout(self._find(metrics), metrics, None))
