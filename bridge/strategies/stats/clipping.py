"""Bound of what an outlier teaches, for signals that may have been constant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats

NEGLIGIBLE = 1e-6  # bound, as a share of a distance, that follows from samples that were constant but for rounding


def bound(most: Floats, distances: Floats, known: NDArray[np.bool_]) -> Floats:
    """Return `most` where it is known to bound distances, otherwise infinity; all of one shape.

    If it is negligible beside a distance, the samples before were constant: they showed no noise, and bound nothing.
    Otherwise a bound of 0 would stay 0.
    """
    return np.where(known & (most > NEGLIGIBLE * np.abs(distances)), most, np.inf)
