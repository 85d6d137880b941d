"""`ewma`: control limits on the exponentially weighted moving average of a standardised signal."""

from __future__ import annotations

from math import sqrt

import numpy as np
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, DetectorOutput
from bridge.strategies.stats.standardise import NO_UNCERTAINTY, Uncertainty


class EwmaConfig(DetectorConfig):
    """Parameters of `ewma: {}`.

    - `weight`: weight of the newest sample (lambda)
    - `limit`: limit of the moving average, in its standard deviations (L)
    """

    weight: float = Field(default=0.05, gt=0, le=1)
    limit: float = Field(default=4.6, gt=0)


class EwmaStrategy(Detector):
    """Strategy that is breached while the weighted mean of recent samples is far from the usual level.

    When to use: as `seasonal_cusum`, if a moving average is easier to explain than a cumulative sum. Small weights
    detect small shifts; the limit is L sqrt(lambda / (2 - lambda)).
    Source: Roberts, Technometrics 1 (1959); Lucas and Saccucci, Technometrics 32 (1990).
    """

    name = "ewma"
    title = "EWMA"
    Config = EwmaConfig

    def __init__(self, config: EwmaConfig) -> None:
        super().__init__(config, [("mean", np.float32)])
        self._weight = config.weight
        self._limit = config.limit * sqrt(config.weight / (2 - config.weight))

    def detect(self, z: Floats, own: StateColumn, uncertainty: Uncertainty = NO_UNCERTAINTY) -> DetectorOutput:
        """Update the mean and compare it with the limit."""
        mean = own["mean"].astype(np.float64)
        mean += self._weight * (z - mean)
        own["mean"] = mean
        statistic = np.abs(mean)
        side = (mean >= 0).view(np.int8) * np.int8(2) - np.int8(1)
        limit = self._limit * np.sqrt(1 + uncertainty.error**2 * ((2 - self._weight) / self._weight))
        return DetectorOutput(statistic, np.broadcast_to(limit, len(z)), side, statistic > limit)
