"""Page-Hinkley: how far the sum of deviations from the running mean has come from its extreme."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, Found
from bridge.strategies.stats.standardise import NO_DOUBT, Doubt


class PageHinkleyConfig(DetectorConfig):
    """`page_hinkley: {}`; delta: allowance, threshold: limit of the sums, both in sigmas; forget: what a sample keeps
    of the sums; min_samples: before which nothing is found."""

    delta: float = Field(default=0.5, ge=0)
    threshold: float = Field(default=14.0, gt=0)
    forget: float = Field(default=1.0, gt=0, le=1)
    min_samples: int = Field(default=30, ge=1)


class PageHinkleyStrategy(Detector):
    """Breached after a change of the mean of all samples since the last change.

    When to use: to compare with other systems, which offer it often; it measures from the mean of what it has seen, so
    that an error of the reference does less harm than with `seasonal_cusum`. After a change it begins anew.
    Source: Page, Biometrika 41 (1954); Hinkley, Biometrika 58 (1971).
    """

    name = "page_hinkley"
    title = "Page-Hinkley"
    Config = PageHinkleyConfig

    def __init__(self, config: PageHinkleyConfig) -> None:
        super().__init__(config, [("past", np.float64, (6,))])  # n, mean, both sums, the least and the most of them
        self._config, self._limit = config, np.array(config.threshold)

    def detect(self, z: Floats, own: StateColumn, doubt: Doubt = NO_DOUBT) -> Found:
        """Move mean, sums and extremes; where a change is found, begin anew."""
        config = self._config
        past = np.ascontiguousarray(own["past"].T)
        n, mean, up, down, least, most = past
        n += 1
        mean += (z - mean) / n
        away = z - mean
        past[2:4] *= config.forget
        up += away - config.delta
        down += away + config.delta
        # The first sums are -delta and delta, so that 0 is no extreme of theirs.
        np.minimum(least, up, out=least)
        np.maximum(most, down, out=most)
        rise, fall = up - least, most - down
        statistic = np.maximum(rise, fall)
        side = (rise >= fall).view(np.int8) * np.int8(2) - np.int8(1)
        hit = (n >= config.min_samples) & (statistic > config.threshold)
        past[:, hit] = 0
        own["past"] = past.T
        return Found(statistic, np.broadcast_to(self._limit, len(z)), side, hit)
