"""From the bytes of a label set to the slot of its model: decoded once, then found again by the bytes alone."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import Slots
from bridge.domain.limits import LONGEST_PART
from bridge.domain.model import ModelTable
from bridge.domain.rule import ModelLabels
from bridge.domain.verdict import Floats
from bridge.sources.decode import MALFORMED, number
from bridge.sources.failures import UNREADABLE

MISSING_LABEL = "missing_label"
LE = "le"
_NO_MODEL, _DAMAGED = -1, -2
_SPARE = 1024  # entries that are kept although no answer holds them any more
_labels = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the models of an answer are.

    rows: intp (k,), positions in the answer of the elements that have a model, ordered by model slot (and bound).
    slots: int32 (k,), their model slots, ascending. bounds: float64 (k,), their `le`, or None.
    series: their label sets (without `le`). damaged, unmapped: positions of the others.
    lacking: label -> the first label set that has no such label. ids: intp (k,), numbers of the label sets.
    """

    rows: NDArray[np.intp]
    slots: Slots
    bounds: Floats | None
    series: list[bytes]
    damaged: NDArray[np.intp]
    unmapped: NDArray[np.intp]
    lacking: dict[str, bytes]
    ids: NDArray[np.intp]

    def skipped(self) -> dict[str, int]:
        counts = {MALFORMED: len(self.damaged), MISSING_LABEL: len(self.unmapped)}
        return {reason: count for reason, count in counts.items() if count}


class SeriesIndex:
    """Label sets of one mapping, known by their bytes. Thread-safe.

    Bounded: entries that are in the last answer of no query are dropped when there are more of them than others.
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
        self._slots = array("i")
        self._bounds = array("d")
        self._lacks: dict[int, str] = {}
        self._names: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def arrange(self, metrics: Sequence[bytes], user: str) -> Layout:
        """The layout of an answer with these label sets. `user`: what asks again and again with much the same sets."""
        with self._lock:
            last = self._last.get(user)
            if last is not None and last[0] == metrics:
                return last[1]
            ids = self._find(metrics)
            layout = self._layout(ids, metrics, None if last is None else last[1])
            # the bytes that are kept anyway, so that the answer's own can go
            kept = list(metrics) if self._buckets else [self._shown[place] for place in ids.tolist()]
            self._last[user] = (kept, layout)
            self._prune()
            return layout

    def users(self) -> dict[str, int]:
        """What asks, and how many label sets its last answer held."""
        with self._lock:
            return {user: len(metrics) for user, (metrics, _) in self._last.items()}

    def forget(self, user: str) -> None:
        """`user` will not ask again: its last answer keeps nothing alive."""
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
        place = self._ids[metric] = len(self._slots)
        slot, bound, shown = self._read(metric, place)
        self._slots.append(slot)
        self._bounds.append(bound)
        self._shown.append(shown)
        return place

    def _read(self, metric: bytes, place: int) -> tuple[int, float, bytes]:
        """Model slot (or why there is none), bound, and the label set as it is shown."""
        try:
            labels = _labels.decode(metric)
            bound = number(labels.pop(LE)) if self._buckets and LE in labels else np.nan
        except (*UNREADABLE, ValueError):
            return _DAMAGED, np.nan, metric
        key = self._mapping.key(labels)
        if isinstance(key, str) or (self._buckets and np.isnan(bound)):
            self._lacks[place] = key if isinstance(key, str) else LE
            return _NO_MODEL, np.nan, metric
        if any("\0" in value for value in labels.values()) or max(map(len, key.labels().values())) > LONGEST_PART:
            # PostgreSQL cannot store the one, no request can hold the other
            return _DAMAGED, np.nan, metric
        return self._table.row(key), bound, self._name(labels) if self._buckets else metric

    def _name(self, labels: dict[str, str]) -> bytes:
        """The label set without `le`: one object for all buckets of a model."""
        text = msgspec.json.encode(labels)
        return self._names.setdefault(text, text)

    def _layout(self, ids: NDArray[np.intp], metrics: Sequence[bytes], last: Layout | None) -> Layout:
        slots = np.array(self._slots, np.int32)[ids]
        bounds = np.array(self._bounds, np.float64)[ids]
        order = np.lexsort((bounds, slots)) if self._buckets else np.argsort(slots)
        rows = order[np.searchsorted(slots[order], 0) :]
        chosen = ids[rows]
        same = last is not None and np.array_equal(chosen, last.ids)  # only the order changed: aggregates have none
        unmapped = np.flatnonzero(slots == _NO_MODEL)
        lacking: dict[str, bytes] = {}
        for position in unmapped.tolist():
            lacking.setdefault(self._lacks[int(ids[position])], metrics[position])
        return Layout(
            rows=rows,
            slots=slots[rows],
            bounds=bounds[rows] if self._buckets else None,
            series=last.series if same and last else [self._shown[place] for place in chosen.tolist()],
            damaged=np.flatnonzero(slots == _DAMAGED),
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
