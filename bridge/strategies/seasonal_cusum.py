"""`seasonal_cusum`: two-sided CUSUM of a signal after removal of its weekly or daily season."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, DetectorOutput
from bridge.strategies.stats.standardise import NO_UNCERTAINTY, Uncertainty

SURE = 3.0  # standard deviations allowed for a permanent bias of the reference
BEYOND = 8.0  # a sum is capped this far above the limit, so that it falls soon after the shift ends
EDGE = 1.166  # mean overshoot of a sum at its boundaries, both together: Siegmund (1985)
HIGHEST = 700.0  # exp() of more is not a float
PARTS = 1000  # steps of the coefficient in the table
SPEEDS = (
    0.0,
    0.5,
    1.0,
)  # exponent of each pair of sums: 0 is in sigmas of the whitened signal, 1 in those of the signal


class SeasonalCusumConfig(DetectorConfig):
    """Parameters of `seasonal_cusum: {}`.

    - `k`: allowance, half the shift to detect, in sigmas
    - `h`: limit of a sum, in sigmas
    """

    k: float = Field(default=0.5, gt=0)
    h: float = Field(default=12.0, gt=0)


class SeasonalCusumStrategy(Detector):
    """Strategy that is breached while a signal stays away from its usual level for the hour, even by a little.

    When to use: for lasting shifts, within minutes to hours, of signals with a daily or weekly pattern. Each sample
    adds its deviation, minus the allowance k, to a sum that never falls below 0; a sum above h is a change.
    Source: Page, Continuous inspection schemes, Biometrika 41 (1954).
    """

    name = "seasonal_cusum"
    title = "CUSUM"
    Config = SeasonalCusumConfig

    def __init__(self, config: SeasonalCusumConfig) -> None:
        super().__init__(config, [("sums", np.float32, (2 * len(SPEEDS),))])
        self._h, self._limit = config.h, np.array(config.h)
        self._speeds = _speeds(config.k, config.h)

    def detect(self, z: Floats, own: StateColumn, uncertainty: Uncertainty = NO_UNCERTAINTY) -> DetectorOutput:
        """Update all sums; those of the slower pairs are scaled so that their limit is h, too."""
        index = (uncertainty.phi * PARTS).astype(np.intp)
        sums = np.ascontiguousarray(own["sums"].T)  # (2 pairs, k): sums of one kind are adjacent
        small, worst = z.astype(np.float32), np.zeros((2, len(z)), np.float32)
        for pair, (k, limits) in enumerate(self._speeds):
            mine, limit = sums[2 * pair : 2 * pair + 2], limits[index]
            _add(mine, small, _allowance(k[index], uncertainty), limit)
            np.maximum(worst, mine * (self._h / limit).astype(np.float32), out=worst)
        own["sums"] = sums.T
        rise, fall = worst
        statistic = np.maximum(rise, fall).astype(np.float64)
        side = (rise >= fall).view(np.int8) * np.int8(2) - np.int8(1)
        return DetectorOutput(statistic, np.broadcast_to(self._limit, len(z)), side, statistic > self._h)


@lru_cache(maxsize=64)
def _speeds(k: float, h: float) -> list[tuple[Floats, Floats]]:
    """Return allowances and limits of each pair of sums, by the AR(1) coefficient."""
    phi = np.arange(PARTS) / PARTS
    shrunk = np.sqrt((1 - phi) / (1 + phi))
    return [(k * shrunk**speed, same_run_length(k, h, k * shrunk**speed)) for speed in SPEEDS]


def _allowance(k: Floats, uncertainty: Uncertainty) -> Floats:
    """Return what is subtracted from each sample: k, and an allowance for the bias of the reference."""
    return np.asarray(k + np.minimum(k * uncertainty.lasts * uncertainty.error**2, SURE * uncertainty.error))


def _add(sums: NDArray[np.float32], z: NDArray[np.float32], k: Floats, h: Floats) -> None:
    """Add samples to the upward and downward sums (2, k), in place."""
    sums[0] += z
    sums[1] -= z
    sums -= k.astype(np.float32)
    np.maximum(sums, np.float32(0), out=sums)
    np.minimum(sums, (h + BEYOND).astype(np.float32), out=sums)


def same_run_length(k: float, h: float, others: Floats) -> Floats:
    """Return limits for which allowances `others` have the same in-control run length as k with h.

    Uses Siegmund's approximation of the run length, (exp(2 k b) - 2 k b - 1) / 2 k^2 with b = h + 1.166.
    """
    wanted = _run_length(np.array([k]), np.array([h + EDGE]))
    low, high = np.zeros(len(others)), np.full(len(others), 1e5)
    for _ in range(60):
        middle = (low + high) / 2
        short = _run_length(others, middle + EDGE) < wanted
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.asarray(np.round(low, 6))


def _run_length(k: Floats, b: Floats) -> Floats:
    x = np.minimum(2 * k * b, HIGHEST)
    return np.asarray((np.expm1(x) - x) / (2 * k * k))
