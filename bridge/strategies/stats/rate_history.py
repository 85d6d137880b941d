"""Courses of error rates over the life of one version: rates that came back by themselves, and changes under way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats

Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]

EDGE = 0.1  # quantile of the cells taken as the low and, from above, as the high level
BAND = 0.25  # share of their distance within which a cell belongs to a level
CLEAR = 4.0  # standard errors of a cell by which the levels must differ
RISING = 1.0  # standard errors by which the later half of a change must exceed the earlier one
LEAST = 3  # cells of a rise: after a sudden change, the first cell is often a mixture, and therefore lower


class Rise(NamedTuple):
    """Newest change of k histories; both (k,).

    cells: number of cells since it began. rising: the later half of them is higher than the earlier one.
    """

    cells: Counts
    rising: Bools


def count_recoveries(errors: Floats, total: Floats, used: Counts) -> Counts:
    """Return how often (k,) a clearly higher error rate has fallen back to the lower level.

    errors, total: (k, n) counts per cell. used: (k,) number of cells in use.
    """
    width = int(used.max(initial=1))
    has = np.arange(width) < used[:, None]
    n = np.where(has, total[:, :width], 1.0)
    rate = np.where(has, errors[:, :width] / np.maximum(n, 1.0), np.inf)  # unused cells sort last
    ranked = np.sort(rate, axis=1)
    low = _at(ranked, np.floor(EDGE * (used - 1)))
    high = _at(ranked, np.ceil((1 - EDGE) * (used - 1)))
    middle, gap = (low + high) / 2, high - low
    error = np.sqrt(np.maximum(middle * (1 - middle), 0.0) * used / np.maximum((n * has).sum(axis=1), 1.0))
    level = np.where(rate > (high - BAND * gap)[:, None], 1, np.where(rate < (low + BAND * gap)[:, None], -1, 0))
    level[~has] = 0
    last = np.maximum.accumulate(np.where(level != 0, np.arange(width), 0), axis=1)
    level = np.where(has, np.take_along_axis(level, last, axis=1), 0)
    fallen = ((level[:, 1:] == -1) & (level[:, :-1] == 1)).sum(axis=1)
    return np.where(gap > CLEAR * error, fallen, 0)


def newest_rise(errors: Floats, total: Floats, used: Counts) -> Rise:
    """Return when the most likely single change of a binomial rate began, and whether the rate has risen since.

    errors, total: (k, n) counts per cell. used: (k,) number of cells in use.
    """
    width = int(used.max(initial=1))
    if width < LEAST:
        return Rise(used * 0, np.zeros(len(used), np.bool_))
    has = np.arange(width) < used[:, None]
    failed = np.cumsum(np.where(has, errors[:, :width], 0.0), axis=1)
    seen = np.cumsum(np.where(has, total[:, :width], 0.0), axis=1)
    likelihood = _likelihood(failed, seen) + _likelihood(failed[:, -1:] - failed, seen[:, -1:] - seen)
    likelihood[np.arange(width) >= used[:, None] - 1] = -np.inf
    split = likelihood.argmax(axis=1)
    cells = np.maximum(used - 1 - split, 0)
    between = np.maximum(used - 1 - np.maximum(cells // 2, 1), 0)
    all_failed, all_seen = failed[:, -1], seen[:, -1]
    late = all_failed - _at(failed, between), all_seen - _at(seen, between)
    early = _at(failed, between) - _at(failed, split), _at(seen, between) - _at(seen, split)
    rate = np.clip(all_failed / np.maximum(all_seen, 1.0), 1e-3, 1 - 1e-3)
    error = np.sqrt(rate * (1 - rate) * (1 / np.maximum(late[1], 1.0) + 1 / np.maximum(early[1], 1.0)))
    step = late[0] / np.maximum(late[1], 1.0) - early[0] / np.maximum(early[1], 1.0)
    return Rise(cells, (cells >= LEAST) & (step > RISING * error))


def _likelihood(failed: Floats, seen: Floats) -> Floats:
    """Return the binomial log-likelihood at the observed rate."""
    rate = np.clip(failed / np.maximum(seen, 1.0), 1e-9, 1 - 1e-9)
    return np.asarray(failed * np.log(rate) + (seen - failed) * np.log(1 - rate))


def _at(rows: Floats, index: Floats | Counts) -> Floats:
    """Return one element (k,) of each row (k, n)."""
    return np.take_along_axis(rows, index.astype(np.int64)[:, None], axis=1)[:, 0]
