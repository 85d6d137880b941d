"""ADWIN: an adaptive window that is cut where the means of its two parts differ significantly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, DetectorOutput
from bridge.strategies.stats.standardise import NO_UNCERTAINTY, Uncertainty

ROWS, WIDE = 12, 6  # buckets of 1, 2, 4, ... 2048 samples; up to five of each size, a sixth merges the oldest two
SIZES = 2 ** np.arange(ROWS)[::-1].repeat(WIDE)  # samples per bucket, oldest bucket first
MIN_PART = 5  # samples in each part of a cut
GRACE = 10  # samples before the first check
CHUNK = 2048  # models processed together, so that their buckets fit into the CPU cache


class AdwinConfig(DetectorConfig):
    """Parameters of `adwin: {}`.

    - `delta`: bound on the probability of a false alarm at one check
    - `clock`: number of samples between checks
    """

    delta: float = Field(default=0.002, gt=0, lt=1)
    clock: int = Field(default=8, ge=1)


class AdwinStrategy(Detector):
    """Strategy that is breached when the mean changes within a window that adapts its length.

    When to use: if you do not know how large a change may be. While nothing changes, the window grows to at most 20,475
    samples, so that small changes are detected, too, after many samples. After a change, the window starts empty.
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

    def detect(self, z: Floats, own: StateColumn, uncertainty: Uncertainty = NO_UNCERTAINTY) -> DetectorOutput:
        """Add the samples, compare the two parts of every cut where a check is due, and restart after a change."""
        _add(own, z)
        own["ticks"] += 1
        due = np.flatnonzero((own["ticks"] % self._clock == 0) & (own["width"] > GRACE))
        hit = np.zeros(len(z), np.bool_)
        for start in range(0, len(due), CHUNK):
            rows = due[start : start + CHUNK]
            gap, limit = self._best_cut(own[rows])
            own["statistic"][rows], own["limit"][rows] = np.abs(gap), limit
            own["side"][rows] = np.where(gap >= 0, np.int8(1), np.int8(-1))
            hit[rows] = np.abs(gap) > limit
        # Copies, because the state is cleared below where a change was detected.
        detection = DetectorOutput(
            own["statistic"].astype(np.float64), np.where(own["limit"] > 0, own["limit"], np.nan).astype(np.float64),
            own["side"].copy(), hit,
        )  # fmt: skip
        own[hit] = np.zeros(1, own.dtype)
        return detection

    def _best_cut(self, own: StateColumn) -> tuple[Floats, Floats]:
        """Return the most significant cut (k,): later mean minus earlier mean, and the largest difference by chance."""
        counts = own["counts"][:, ::-1]
        occupied = np.arange(WIDE) < counts[:, :, None]  # (k, ROWS, WIDE)
        sizes = np.where(occupied.reshape(len(own), -1), SIZES, 0)
        totals = np.where(occupied, own["totals"][:, ::-1], 0.0).reshape(len(own), -1)
        n0, u0 = np.cumsum(sizes, axis=1), np.cumsum(totals, axis=1, dtype=np.float64)
        width, total = own["width"][:, None], own["total"][:, None]
        n1 = width - n0
        valid = (n0 >= MIN_PART) & (n1 >= MIN_PART)
        with np.errstate(all="ignore"):
            gap = (total - u0) / n1 - u0 / n0
            log_term = np.log(2 * np.log(width) / self._delta)
            share = 1 / (n0 - MIN_PART + 1) + 1 / (n1 - MIN_PART + 1)
            limit = np.sqrt(2 * share * (own["variance"][:, None] / width) * log_term) + 2 / 3 * log_term * share
            best = np.argmax(np.where(valid, np.abs(gap) / limit, -1.0), axis=1)
        rows = np.arange(len(own))
        has_cut = valid[rows, best]
        return np.where(has_cut, gap[rows, best], 0.0), np.where(has_cut, limit[rows, best], np.inf)


def _add(own: StateColumn, z: Floats) -> None:
    """Add one sample per model; where a row of buckets is full, merge its two oldest into one of the next row."""
    width = own["width"]
    before = np.maximum(width, 1)
    own["variance"] += np.where(width > 0, width * (z - own["total"] / before) ** 2 / (width + 1.0), 0.0)
    own["total"] += z
    own["width"] += 1
    _append(own, np.arange(len(z)), 0, z, np.zeros(len(z)))
    for row in range(ROWS):
        full = np.flatnonzero(own["counts"][:, row] == WIDE)
        if not len(full):
            break
        _merge(own, full, row)


def _merge(own: StateColumn, full: NDArray[np.int64], row: int) -> None:
    totals, variances = own["totals"], own["variances"]
    size = float(2**row)
    first, second = (totals[full, row, index].astype(np.float64) for index in (0, 1))
    between = size / 2 * ((first - second) / size) ** 2
    spread = variances[full, row, 0] + variances[full, row, 1] + between
    for column in (totals, variances):
        column[full, row, :-2] = column[full, row, 2:]
    own["counts"][full, row] -= 2
    if row + 1 < ROWS:
        _append(own, full, row + 1, first + second, spread)
    else:
        _drop(own, full, 2 * size, first + second, spread)


def _append(own: StateColumn, which: NDArray[np.int64], row: int, total: Floats, variance: Floats) -> None:
    index = own["counts"][which, row]
    own["totals"][which, row, index] = total
    own["variances"][which, row, index] = variance
    own["counts"][which, row] = index + 1


def _drop(own: StateColumn, which: NDArray[np.int64], size: float, total: Floats, variance: Floats) -> None:
    """Drop the oldest samples of windows that have reached their maximum length."""
    remaining = own["width"][which] - size
    own["total"][which] -= total
    mean = own["total"][which] / remaining
    own["variance"][which] -= variance + size * remaining * (total / size - mean) ** 2 / (size + remaining)
    own["width"][which] = remaining.astype(np.int32)
