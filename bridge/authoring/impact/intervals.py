"""Confidence intervals of proportions: Wilson's score interval, and Newcombe's for the difference of two."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959964  # of 95 %


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def share(successes: int, total: int) -> Estimate | None:
    """Return a share with Wilson's interval, None without observations."""
    if not total:
        return None
    p, n, z2 = successes / total, total, Z * Z
    centre, spread = (p + z2 / (2 * n)) / (1 + z2 / n), Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return Estimate(p, max(0.0, centre - spread), min(1.0, centre + spread))


def difference(one: Estimate, other: Estimate) -> Estimate:
    """Return the difference of two independent shares with Newcombe's interval (his method 10)."""
    value = one.value - other.value
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    high = value + math.hypot(one.high - one.value, other.value - other.low)
    return Estimate(value, low, high)
