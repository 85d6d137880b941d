"""Statistic of a strategy, to which its limit applies, and the value from which it is computed."""

from __future__ import annotations

_NEAR = 1e-6


def own_scale(value: float, statistic: float) -> bool:
    """Return whether the statistic differs from the value; False if either is NaN."""
    return abs(value - statistic) > _NEAR * max(abs(value), 1e-12)
