"""Histograms of several windows added up, for models whose single windows hold too few observations."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import BUCKETS, REFERENCE, REFERENCE_SUM, SUM, EventBatch
from bridge.domain.times import Duration
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.counts import take_due

MOST = 32  # bounds of a signal; histograms with more are not added up
_SIDES = ((BUCKETS, SUM), (REFERENCE, REFERENCE_SUM))

POOL = np.dtype([
    ("bounds", np.float64), ("next", np.int64, (2,)), ("newest", np.float64), ("counts", np.float32, (2, MOST)),
    ("sums", np.float64, (2,)),
])  # fmt: skip
"""State of one model. bounds: fingerprint of the bounds that `counts` belong to, 0 = empty. next: first slot whose
sample of each side may be added. newest: fingerprint of the last reference added."""

_CONTENT = ("bounds", "newest", "counts", "sums")

Positions = NDArray[np.int64]


class Pooled(NamedTuple):
    """Models whose added windows suffice. positions: (m,) in the batch. batch: of the m models, with the sums."""

    positions: Positions
    batch: EventBatch


def clear_compared(state: StateColumn, positions: Positions) -> None:
    """Empty the pools of models that have been compared; their `next` stays, so no window is added twice."""
    filled = positions[state["bounds"][positions] != 0]
    for field in _CONTENT:
        state[field][filled] = 0


def add(batch: EventBatch, few: Positions, state: StateColumn, window: Duration, n_min: int) -> Pooled | None:
    """Add the windows of models with too few observations; return those with at least n_min on both sides.

    few: (m,) positions of models whose histograms are whole. A side whose window suffices alone replaces what was added
    before, and one that has twice the necessary observations is halved first, so that old windows fade. A reference
    equal to the last one is the same data, and is not added again.
    """
    bounds = batch.bounds
    if bounds is None or len(bounds) > MOST or not len(few):
        return None
    mine, width = state[few], len(bounds)
    key = _fingerprint(bounds[None, :-1])[0] + width
    for field in _CONTENT:
        mine[field][mine["bounds"] != key] = 0
    for side, (name, total) in enumerate(_SIDES):
        sample = batch.column(name)[few]
        size = sample[:, -1]
        fresh = size >= 1
        if name == REFERENCE:
            mark = _fingerprint(sample)
            fresh &= mark != mine["newest"]
        due = take_due(mine["next"][:, side], fresh, batch.slot, window)
        if name == REFERENCE:
            mine["newest"] = np.where(due, mark, mine["newest"])
        before = mine["counts"][:, side, width - 1]
        kept = np.where(size >= n_min, 0.0, np.where(before >= 2 * n_min, 0.5, 1.0))
        sums = batch.columns[total][few] if total in batch.columns else np.full(len(few), np.nan)
        for pool, part in ((mine["counts"][:, side, :width], sample), (mine["sums"][:, side, None], sums[:, None])):
            pool[due] = pool[due] * kept[due, None] + part[due]
    mine["bounds"] = key
    state[few] = mine
    full = np.flatnonzero((mine["counts"][:, :, width - 1] >= n_min).all(axis=1))
    return None if not len(full) else Pooled(few[full], _batch(batch, few[full], mine[full]))


def _batch(batch: EventBatch, positions: Positions, mine: StateColumn) -> EventBatch:
    """Return the models at `positions` with their pools instead of their last windows."""
    width = batch.column(BUCKETS).shape[1]
    columns = {name: column[positions] for name, column in batch.columns.items()}
    for side, (name, total) in enumerate(_SIDES):
        columns[name] = mine["counts"][:, side, :width].astype(np.float64)
        if total in columns:
            columns[total] = mine["sums"][:, side].copy()
    series = [batch.series[position] for position in positions.tolist()] if batch.series else ()
    return replace(batch, index=batch.index[positions], columns=columns, series=series)


def _fingerprint(rows: Floats) -> Floats:
    """Return a number (k,) that differs for rows (k, b) that differ, except by an improbable chance; never 0."""
    weights = np.sqrt(np.arange(2.0, rows.shape[1] + 2))
    return np.asarray(1 + (np.nan_to_num(rows, nan=-1.0) * weights).sum(axis=1))
