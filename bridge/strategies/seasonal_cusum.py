"""Small shifts that last, added up: a two-sided CUSUM over what is left when the hour of the week is taken out."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, Found
from bridge.strategies.standardise import NO_DOUBT, Doubt

SURE = 3.0  # standard deviations of a bias that lasts for ever
BEYOND = 8.0  # above the limit: a sum grows no further, so that it comes down in time when the shift is over


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
        super().__init__(config, [("up", np.float32), ("down", np.float32)])
        self._k, self._h = config.k, config.h

    def detect(self, z: Floats, own: StateColumn, doubt: Doubt = NO_DOUBT) -> Found:
        """Add to both sums. A bias of the reference adds up too: the allowance covers it."""
        most = self._h + BEYOND
        error, lasts = doubt
        k = self._k + np.minimum(self._k * lasts * error * error, SURE * error)
        up = np.clip(own["up"] + (z - k), 0.0, most)
        down = np.clip(own["down"] - (z + k), 0.0, most)
        own["up"], own["down"] = up, down
        statistic = np.maximum(up, down)
        side = np.where(up >= down, np.int8(1), np.int8(-1))
        return Found(statistic, np.full(len(z), self._h), side, statistic > self._h)
