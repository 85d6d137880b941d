"""ADWIN: a window of all samples since the last change, cut wherever its two parts have different means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, Found
from bridge.strategies.stats.standardise import NO_DOUBT, Doubt

ROWS, WIDE = 12, 6  # buckets of 1, 2, 4, ... 2048 samples; five of each are kept, the sixth makes two of them one
SIZES = 2 ** np.arange(ROWS)[::-1].repeat(WIDE)  # of buckets in the order of their age, oldest first
LEAST = 5  # samples in a part
GRACE = 10  # samples before the first look
CHUNK = 2048  # models at once: their buckets stay in the cache


class AdwinConfig(DetectorConfig):
    """`adwin: {}`; delta: chance of a false cut, as the bound has it. clock: a look at every so many samples."""

    delta: float = Field(default=0.002, gt=0, lt=1)
    clock: int = Field(default=8, ge=1)


class AdwinStrategy(Detector):
    """Breached when the samples since the last change are better explained by two means than by one.

    When to use: nothing is known of how large a change is, or how long it takes. The window grows while nothing
    happens, up to 20,000 samples, so that small changes are found in the end; each takes its time. After a change it
    begins anew.
    Source: Bifet and Gavalda, Learning from time-changing data with adaptive windowing, SIAM Data Mining (2007).
    """

    name = "adwin"
    title = "ADWIN"
    suspicion = 0.8
    Config = AdwinConfig

    def __init__(self, config: AdwinConfig) -> None:
        fields = [("ticks", np.int32), ("width", np.int32), ("total", np.float64), ("variance", np.float64),
                  ("statistic", np.float32), ("limit", np.float32), ("side", np.int8), ("counts", np.int8, (ROWS,)),
                  ("totals", np.float32, (ROWS, WIDE)), ("variances", np.float32, (ROWS, WIDE))]  # fmt: skip
        super().__init__(config, fields)
        self._delta, self._clock = config.delta, config.clock

    def detect(self, z: Floats, own: StateColumn, doubt: Doubt = NO_DOUBT) -> Found:
        """Add the samples; where it is time, compare the two parts of every cut, and begin anew after a change."""
        _add(own, z)
        own["ticks"] += 1
        due = np.flatnonzero((own["ticks"] % self._clock == 0) & (own["width"] > GRACE))
        hit = np.zeros(len(z), np.bool_)
        for start in range(0, len(due), CHUNK):
            some = due[start : start + CHUNK]
            gap, limit = self._look(own[some])
            own["statistic"][some], own["limit"][some] = np.abs(gap), limit
            own["side"][some] = np.where(gap >= 0, np.int8(1), np.int8(-1))
            hit[some] = np.abs(gap) > limit
        # A copy: where a change was found, all of it is forgotten next.
        found = Found(
            own["statistic"].astype(np.float64), np.where(own["limit"] > 0, own["limit"], np.nan).astype(np.float64),
            own["side"].copy(), hit,
        )  # fmt: skip
        own[hit] = np.zeros(1, own.dtype)
        return found

    def _look(self, own: StateColumn) -> tuple[Floats, Floats]:
        """(k,) of the cut that is most of a change: later mean less earlier mean, and how far they may be apart."""
        counts = own["counts"][:, ::-1]
        there = np.arange(WIDE) < counts[:, :, None]  # (k, ROWS, WIDE)
        sizes = np.where(there.reshape(len(own), -1), SIZES, 0)
        totals = np.where(there, own["totals"][:, ::-1], 0.0).reshape(len(own), -1)
        n0, u0 = np.cumsum(sizes, axis=1), np.cumsum(totals, axis=1, dtype=np.float64)
        width, total = own["width"][:, None], own["total"][:, None]
        n1 = width - n0
        fair = (n0 >= LEAST) & (n1 >= LEAST)
        with np.errstate(all="ignore"):
            gap = (total - u0) / n1 - u0 / n0
            doubt = np.log(2 * np.log(width) / self._delta)
            share = 1 / (n0 - LEAST + 1) + 1 / (n1 - LEAST + 1)
            limit = np.sqrt(2 * share * (own["variance"][:, None] / width) * doubt) + 2 / 3 * doubt * share
            best = np.argmax(np.where(fair, np.abs(gap) / limit, -1.0), axis=1)
        rows = np.arange(len(own))
        fits = fair[rows, best]
        return np.where(fits, gap[rows, best], 0.0), np.where(fits, limit[rows, best], np.inf)


def _add(own: StateColumn, z: Floats) -> None:
    """One sample more for every model; where a row of buckets is full, its two oldest become one of the next."""
    width = own["width"]
    before = np.maximum(width, 1)
    own["variance"] += np.where(width > 0, width * (z - own["total"] / before) ** 2 / (width + 1.0), 0.0)
    own["total"] += z
    own["width"] += 1
    _put(own, np.arange(len(z)), 0, z, np.zeros(len(z)))
    for row in range(ROWS):
        full = np.flatnonzero(own["counts"][:, row] == WIDE)
        if not len(full):
            break
        _merge(own, full, row)


def _merge(own: StateColumn, full: NDArray[np.int64], row: int) -> None:
    totals, variances = own["totals"], own["variances"]
    size = float(2**row)
    first, second = (totals[full, row, place].astype(np.float64) for place in (0, 1))
    apart = size / 2 * ((first - second) / size) ** 2
    spread = variances[full, row, 0] + variances[full, row, 1] + apart
    for column in (totals, variances):
        column[full, row, :-2] = column[full, row, 2:]
    own["counts"][full, row] -= 2
    if row + 1 < ROWS:
        _put(own, full, row + 1, first + second, spread)
    else:
        _forget(own, full, 2 * size, first + second, spread)


def _put(own: StateColumn, which: NDArray[np.int64], row: int, total: Floats, variance: Floats) -> None:
    place = own["counts"][which, row]
    own["totals"][which, row, place] = total
    own["variances"][which, row, place] = variance
    own["counts"][which, row] = place + 1


def _forget(own: StateColumn, which: NDArray[np.int64], size: float, total: Floats, variance: Floats) -> None:
    """The oldest samples of a window that is as long as can be."""
    left = own["width"][which] - size
    own["total"][which] -= total
    mean = own["total"][which] / left
    own["variance"][which] -= variance + size * left * (total / size - mean) ** 2 / (size + left)
    own["width"][which] = left.astype(np.int32)
