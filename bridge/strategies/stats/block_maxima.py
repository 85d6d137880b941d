"""Block maxima: score of a statistic against its own past peaks, in units of their spread.

Peaks are maxima of blocks of four hours. Whatever the distribution and autocorrelation of the statistic, maxima of
long blocks follow an extreme value distribution (Gumbel for light tails), whose mean and spread show how rare a
higher one is: Coles, An Introduction to Statistical Modeling of Extreme Values, Springer 2001, chapter 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, HOUR, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn

BLOCK = 4 * HOUR
MEMORY = 7 * DAY
ENOUGH = DAY // BLOCK  # blocks before scores are known
TINY = 1e-12


class BlockMaxima:
    """Peaks of `count` statistics of many models, for both directions.

    fields: dtype fields of the state of one model.
    """

    def __init__(self, count: int) -> None:
        sides = (count, 2)
        self.fields: list[Any] = [
            ("block", np.int64), ("blocks", np.uint16, sides), ("mean", np.float64, sides),
            ("variance", np.float64, sides), ("top", np.float64, sides), ("some", np.bool_, sides),
        ]  # fmt: skip

    def step(self, values: Floats, slot: Timestamp, own: StateColumn) -> Floats:
        """Return scores (k, count, 2) of values (k, count, 2), NaN while unknown; update the state own (k,) in place.

        Values of the second side are negated, so that higher is more extreme on both.
        """
        block = slot // BLOCK
        over = (own["block"] != block)[:, None, None] & own["some"]
        self._close(over, own)
        own["some"] &= ~over
        own["block"] = block
        with np.errstate(invalid="ignore"):
            scores = (values - own["mean"]) / (np.sqrt(own["variance"]) + 1e-9 * np.abs(own["mean"]) + TINY)
        scores[own["blocks"] < ENOUGH] = np.nan
        present = ~np.isnan(values)
        own["top"] = np.where(present & (~own["some"] | (values > own["top"])), values, own["top"])
        own["some"] |= present
        return np.asarray(scores)

    @staticmethod
    def _close(over: NDArray[np.bool_], own: StateColumn) -> None:
        """Add the peaks of blocks that are over to mean and variance."""
        if not over.any():
            return
        blocks = own["blocks"] + over
        gain = np.where(over, np.maximum(1 / np.maximum(blocks, 1), BLOCK / MEMORY), 0.0)
        delta = np.where(over, own["top"] - own["mean"], 0.0)
        own["mean"] += gain * delta
        own["variance"] = (1 - gain) * (own["variance"] + gain * delta * delta)
        own["blocks"] = np.minimum(blocks, np.iinfo(np.uint16).max - 1)
