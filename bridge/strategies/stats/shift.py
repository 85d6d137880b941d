"""CUSUM of the shift of a signal, for rises and falls: Page, Biometrika 41 (1954)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.stats.scale import both

ALLOWANCE, LEAST_SUM = 0.45, 9.5  # allowance, and minimum of a sum that is evidence, in sigmas
WEEK = 7 * DAY
WEEKEND = 3 * DAY  # from Friday noon to Monday noon in UTC: Saturday or Sunday in some time zone
FRIDAY = 8 * DAY + DAY // 2  # since 1970-01-01, noon


def cusum(z: Floats, slot: Timestamp, born: NDArray[np.int64], sums: Floats) -> Floats:
    """Add z (k,) to the sums (k, 2) of rises and falls in place, and return those that are evidence.

    They are NaN where z is unknown, and on the first weekend of a life; 0 where z lowers the sum, so that an alarm does
    not last for as long as a large sum takes to fall.

    born: (k,), times of the first samples.
    """
    step = both(z) - ALLOWANCE
    known = ~np.isnan(step)
    if _weekend(slot):
        known &= (slot - born >= WEEK)[:, None]
    sums[:] = np.where(known, np.maximum(sums + np.where(known, step, 0.0), 0.0), sums)
    return np.where(known, np.where(step > 0, sums, 0.0), np.nan)


def evaluated_from(instant: Timestamp, born: Timestamp) -> Timestamp:
    """Return the first time from `instant` on at which sums are evidence, in the life of a model since `born`."""
    if not _weekend(instant) or instant - born >= WEEK:
        return instant
    return min(instant - (instant - FRIDAY) % WEEK + WEEKEND, born + WEEK)


def _weekend(slot: Timestamp) -> bool:
    """Return whether it is Saturday or Sunday in some time zone."""
    return (slot - FRIDAY) % WEEK < WEEKEND
