"""Page-Hinkley test: cumulative deviation from the running mean, measured from its extreme."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, DetectorOutput
from bridge.strategies.stats.standardise import NO_UNCERTAINTY, Uncertainty


class PageHinkleyConfig(DetectorConfig):
    """Parameters of `page_hinkley: {}`.

    - `delta`: allowance, in sigmas
    - `threshold`: limit of the statistic, in sigmas
    - `forget`: factor by which the sums are multiplied at each sample
    - `min_samples`: minimum number of samples before the first detection
    """

    delta: float = Field(default=0.5, ge=0)
    threshold: float = Field(default=14.0, gt=0)
    forget: float = Field(default=1.0, gt=0, le=1)
    min_samples: int = Field(default=30, ge=1)


class PageHinkleyStrategy(Detector):
    """Strategy that is breached after the mean of the samples has changed.

    When to use: if you want results that you can compare with those of other systems, which often offer this test.
    Deviations are from the mean of the samples since the last change, so an error of the reference does less harm than
    in `seasonal_cusum`.
    Source: Page, Biometrika 41 (1954); Hinkley, Biometrika 58 (1971).
    """

    name = "page_hinkley"
    title = "Page-Hinkley"
    Config = PageHinkleyConfig

    def __init__(self, config: PageHinkleyConfig) -> None:
        super().__init__(config, [("past", np.float64, (6,))])  # n, mean, both sums, their minimum and maximum
        self._config, self._limit = config, np.array(config.threshold)

    def detect(self, z: Floats, own: StateColumn, uncertainty: Uncertainty = NO_UNCERTAINTY) -> DetectorOutput:
        """Update mean, sums and extremes, and restart where a change is detected."""
        config = self._config
        past = np.ascontiguousarray(own["past"].T)
        n, mean, up, down, least, most = past
        n += 1
        mean += (z - mean) / n
        away = z - mean
        past[2:4] *= config.forget
        up += away - config.delta
        down += away + config.delta
        # The first sums are -delta and delta, so 0 is never an extreme.
        np.minimum(least, up, out=least)
        np.maximum(most, down, out=most)
        rise, fall = up - least, most - down
        statistic = np.maximum(rise, fall)
        side = (rise >= fall).view(np.int8) * np.int8(2) - np.int8(1)
        hit = (n >= config.min_samples) & (statistic > config.threshold)
        past[:, hit] = 0
        own["past"] = past.T
        return DetectorOutput(statistic, np.broadcast_to(self._limit, len(z)), side, hit)
