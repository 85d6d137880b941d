"""Small shifts that last, added up: a two-sided CUSUM over what is left when the hour of the week is taken out."""

from __future__ import annotations

from math import expm1, inf

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, Found
from bridge.strategies.standardise import NO_DOUBT, Doubt

SURE = 3.0  # standard deviations of a bias that lasts for ever
BEYOND = 8.0  # above the limit: a sum grows no further, so that it comes down in time when the shift is over
EDGE = 1.166  # what a sum is past its limit on average when it passes it, in two halves: Siegmund (1985)
HIGHEST = 700.0  # exp() of more is not a float
PARTS = 100  # of the coefficient's range, in a table


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
        super().__init__(config, [("sums", np.float32, (4,))])
        self._k, self._h = config.k, config.h
        self._fast_k, self._limit = np.full(1, config.k), np.array(config.h)
        phi = np.arange(PARTS) / PARTS
        self._slow_k = config.k * np.sqrt((1 - phi) / (1 + phi))
        self._slow_h = np.array([same_run_length(config.k, config.h, k) for k in self._slow_k.tolist()])

    def detect(self, z: Floats, own: StateColumn, doubt: Doubt = NO_DOUBT) -> Found:
        """Add to all four sums; the slow ones are shown as if their limit were h, too."""
        place = (doubt.phi * PARTS).astype(np.intp)
        slow_h = self._slow_h[place]
        sums = np.ascontiguousarray(own["sums"].T)  # (4, k): sums of one kind side by side
        small = z.astype(np.float32)
        _add(sums[:2], small, _allowance(self._fast_k, doubt), self._h)
        _add(sums[2:], small, _allowance(self._slow_k[place], doubt), slow_h)
        own["sums"] = sums.T
        rise, fall = np.maximum(sums[:2], sums[2:] * (self._h / slow_h).astype(np.float32))
        statistic = np.maximum(rise, fall).astype(np.float64)
        side = (rise >= fall).view(np.int8) * np.int8(2) - np.int8(1)
        return Found(statistic, np.broadcast_to(self._limit, len(z)), side, statistic > self._h)


def _allowance(k: Floats, doubt: Doubt) -> Floats:
    """What is taken off each sample: k, and for a bias of the reference, which adds up too."""
    return np.asarray(k + np.minimum(k * doubt.lasts * doubt.error**2, SURE * doubt.error))


def _add(sums: NDArray[np.float32], z: NDArray[np.float32], k: Floats, h: Floats | float) -> None:
    """To sums (2, k), upwards and downwards, in place."""
    sums[0] += z
    sums[1] -= z
    sums -= k.astype(np.float32)
    np.maximum(sums, np.float32(0), out=sums)
    np.minimum(sums, np.asarray(h + BEYOND, np.float32), out=sums)


def same_run_length(k: float, h: float, other: float) -> float:
    """The limit with which allowance `other` has as long a run without a shift as k with h.

    From Siegmund's approximation of the run length, (exp(2 k b) - 2 k b - 1) / 2 k^2 with b = h + 1.166.
    """
    wanted = _run_length(k, h + EDGE)
    low, high = 0.0, 1e4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _run_length(other, middle + EDGE) < wanted else (low, middle)
    return round(low, 6)


def _run_length(k: float, b: float) -> float:
    x = 2 * k * b
    return inf if x > HIGHEST else (expm1(x) - x) / (2 * k * k)
