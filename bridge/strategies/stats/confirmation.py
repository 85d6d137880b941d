"""Confirmation: a high score counts if another follows, since noise has lone peaks and incidents last."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import HOUR, Timestamp
from bridge.domain.verdict import Floats

ALMOST = 0.99  # share of the limit that a score reaches at most, until it is confirmed


def confirmed(
    scores: Floats, limit: float, lone: Floats, slot: Timestamp, passed: NDArray[np.int64], over: NDArray[np.int64]
) -> Floats:
    """Return the scores (k,) as multiples of `limit`; below 1 without confirmation.

    A score above `limit` is confirmed by the last one, within an hour or in the window before. A score above lone (k,)
    needs no confirmation.
    passed: (k,) ms since each model's last window. over: (k,) slot of the last score above the limit, updated in place.
    """
    high = scores > limit
    recent = slot - over <= np.maximum(passed, HOUR)
    over[high] = slot
    return np.where(high & ~recent & ~(scores > lone), ALMOST, scores / limit)
