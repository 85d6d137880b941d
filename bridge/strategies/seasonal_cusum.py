"""Small shifts that last, added up: a two-sided CUSUM over what is left when the hour of the week is taken out."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, Found
from bridge.strategies.stats.standardise import NO_DOUBT, Doubt

SURE = 3.0  # standard deviations of a bias that lasts for ever
BEYOND = 8.0  # above the limit: a sum grows no further, so that it comes down in time when the shift is over
EDGE = 1.166  # what a sum is past its limit on average when it passes it, in two halves: Siegmund (1985)
HIGHEST = 700.0  # exp() of more is not a float
PARTS = 1000  # of the coefficient's range, in a table
SPEEDS = (0.0, 0.5, 1.0)  # how far each pair of sums goes towards sigmas of the signal


class SeasonalCusumConfig(DetectorConfig):
    """`seasonal_cusum: {}`; k: allowance, half the shift that is to be found, h: limit of a sum; both in sigmas."""

    k: float = Field(default=0.5, gt=0)
    h: float = Field(default=12.0, gt=0)


class SeasonalCusumStrategy(Detector):
    """Breached while a signal stays away from its usual level for the hour, by small steps too.

    When to use: a shift that lasts has to be found in minutes to hours, on a signal with days and weeks in it. Each
    sample adds how far it is out, less the allowance k, to a sum that never falls below 0; a sum above h is a change.
    Source: Page, Continuous inspection schemes, Biometrika 41 (1954).
    """

    name = "seasonal_cusum"
    title = "CUSUM"
    Config = SeasonalCusumConfig

    def __init__(self, config: SeasonalCusumConfig) -> None:
        super().__init__(config, [("sums", np.float32, (2 * len(SPEEDS),))])
        self._h, self._limit = config.h, np.array(config.h)
        self._speeds = _speeds(config.k, config.h)

    def detect(self, z: Floats, own: StateColumn, doubt: Doubt = NO_DOUBT) -> Found:
        """Add to all sums; those of the slower pairs are shown as if their limit were h, too."""
        place = (doubt.phi * PARTS).astype(np.intp)
        sums = np.ascontiguousarray(own["sums"].T)  # (2 pairs, k): sums of one kind side by side
        small, worst = z.astype(np.float32), np.zeros((2, len(z)), np.float32)
        for pair, (k, limits) in enumerate(self._speeds):
            mine, limit = sums[2 * pair : 2 * pair + 2], limits[place]
            _add(mine, small, _allowance(k[place], doubt), limit)
            np.maximum(worst, mine * (self._h / limit).astype(np.float32), out=worst)
        own["sums"] = sums.T
        rise, fall = worst
        statistic = np.maximum(rise, fall).astype(np.float64)
        side = (rise >= fall).view(np.int8) * np.int8(2) - np.int8(1)
        return Found(statistic, np.broadcast_to(self._limit, len(z)), side, statistic > self._h)


@lru_cache(maxsize=64)
def _speeds(k: float, h: float) -> list[tuple[Floats, Floats]]:
    """Allowances and limits of each pair of sums, by the AR(1) coefficient."""
    phi = np.arange(PARTS) / PARTS
    left = np.sqrt((1 - phi) / (1 + phi))
    return [(k * left**speed, same_run_length(k, h, k * left**speed)) for speed in SPEEDS]


def _allowance(k: Floats, doubt: Doubt) -> Floats:
    """What is taken off each sample: k, and for a bias of the reference, which adds up too."""
    return np.asarray(k + np.minimum(k * doubt.lasts * doubt.error**2, SURE * doubt.error))


def _add(sums: NDArray[np.float32], z: NDArray[np.float32], k: Floats, h: Floats) -> None:
    """To sums (2, k), upwards and downwards, in place."""
    sums[0] += z
    sums[1] -= z
    sums -= k.astype(np.float32)
    np.maximum(sums, np.float32(0), out=sums)
    np.minimum(sums, (h + BEYOND).astype(np.float32), out=sums)


def same_run_length(k: float, h: float, others: Floats) -> Floats:
    """The limits with which allowances `others` have as long a run without a shift as k with h.

    From Siegmund's approximation of the run length, (exp(2 k b) - 2 k b - 1) / 2 k^2 with b = h + 1.166.
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
