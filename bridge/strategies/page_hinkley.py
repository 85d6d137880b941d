"""Page-Hinkley: how far the sum of deviations from the running mean has come from its extreme."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, Found
from bridge.strategies.standardise import NO_DOUBT, Doubt


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
        super().__init__(config, [(name, np.float64) for name in ("n", "mean", "up", "down", "least", "most")])
        self._config = config

    def detect(self, z: Floats, own: StateColumn, doubt: Doubt = NO_DOUBT) -> Found:
        """Move mean, sums and extremes; where a change is found, begin anew."""
        config = self._config
        first = own["n"] == 0
        n = own["n"] + 1
        mean = own["mean"] + (z - own["mean"]) / n
        up = config.forget * own["up"] + (z - mean) - config.delta
        down = config.forget * own["down"] + (z - mean) + config.delta
        least = np.where(first, up, np.minimum(own["least"], up))
        most = np.where(first, down, np.maximum(own["most"], down))
        rise, fall = up - least, most - down
        statistic = np.maximum(rise, fall)
        hit = (n >= config.min_samples) & (statistic > config.threshold)
        going = ~hit
        for name, value in (("n", n), ("mean", mean), ("up", up), ("down", down), ("least", least), ("most", most)):
            own[name] = value * going
        side = np.where(rise >= fall, np.int8(1), np.int8(-1))
        return Found(statistic, np.full(len(z), config.threshold), side, hit)
