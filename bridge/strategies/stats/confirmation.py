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


def confirmed_by_any(
    scores: Floats, needed: Floats, slot: Timestamp, passed: NDArray[np.int64], over: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return the models (k,) with a score (k, n, s) above the one needed, and an earlier one in the same direction.

    The earlier one may be of another statistic n, within an hour or in the window before.
    needed: (k, n, s). passed: (k,) ms since each model's last window.
    over: (k, s) slot of the last score above the one needed, updated in place.
    """
    high = (scores > needed).any(axis=1)
    recent = slot - over <= np.maximum(passed, HOUR)[:, None]
    over[high] = slot
    return np.asarray((high & recent).any(axis=1))


def needed_score(limit: float, lone: Floats, repeats: Floats) -> Floats:
    """Return the scores (k, n, s) that are needed to confirm each other, between `limit` and that of a lone one.

    repeats: (k, n), correlation of the noise within the time in which scores confirm each other. Its square is the
    share of a score that the earlier one explains (coefficient of determination); only the rest is confirmation.
    lone: (k, 1, s).
    """
    return np.asarray(limit + (repeats**2)[:, :, None] * (lone - limit))
