"""How far a statistic is beyond the highest that it usually gets: in units of the spread of its own past peaks.

Peaks are maxima of blocks of four hours. Whatever the distribution of the statistic and however its samples hang
together, peaks of long blocks follow a law of extremes (Gumbel's, for light tails), whose mean and spread tell how
rare a higher one is: Coles, An Introduction to Statistical Modeling of Extreme Values, Springer 2001, chapter 3.
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
ENOUGH = DAY // BLOCK  # blocks before a peak is called usual
TINY = 1e-12


class Extremes:
    """Peaks of `count` statistics of many models, upwards and downwards apart. fields: of the state of one model."""

    def __init__(self, count: int) -> None:
        sides = (count, 2)
        self.fields: list[Any] = [
            ("block", np.int64), ("blocks", np.uint16, sides), ("mean", np.float64, sides),
            ("variance", np.float64, sides), ("top", np.float64, sides), ("some", np.bool_, sides),
        ]  # fmt: skip

    def step(self, values: Floats, slot: Timestamp, own: StateColumn) -> Floats:
        """Scores (k, count, 2) of values (k, count, 2), NaN while not known; own (k,) is changed in place.

        A value of the second side is the negative of the statistic, so that higher is further out on both.
        """
        block = slot // BLOCK
        over = (own["block"] != block)[:, None, None] & own["some"]
        self._close(over, own)
        own["some"] &= ~over
        own["block"] = block
        with np.errstate(invalid="ignore"):
            scores = (values - own["mean"]) / (np.sqrt(own["variance"]) + 1e-9 * np.abs(own["mean"]) + TINY)
        scores[own["blocks"] < ENOUGH] = np.nan
        here = ~np.isnan(values)
        own["top"] = np.where(here & (~own["some"] | (values > own["top"])), values, own["top"])
        own["some"] |= here
        return np.asarray(scores)

    @staticmethod
    def _close(over: NDArray[np.bool_], own: StateColumn) -> None:
        """The peaks of blocks that are over become part of what is usual."""
        if not over.any():
            return
        blocks = own["blocks"] + over
        gain = np.where(over, np.maximum(1 / np.maximum(blocks, 1), BLOCK / MEMORY), 0.0)
        delta = np.where(over, own["top"] - own["mean"], 0.0)
        own["mean"] += gain * delta
        own["variance"] = (1 - gain) * (own["variance"] + gain * delta * delta)
        own["blocks"] = np.minimum(blocks, np.iinfo(np.uint16).max - 1)
