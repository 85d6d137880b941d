"""Verdict of a strategy on a model: code, cause of an inconclusive verdict, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.codes import USE, Cause, Code
from bridge.domain.times import Timestamp

__all__ = ["USE", "Cause", "Code", "Floats", "Int8", "Verdicts"]

Int8 = NDArray[np.int8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Crossing:
    """Forecast of when a value crosses a limit.

    limit: in the signal's unit. earliest, latest: bounds. confidence: probability that they hold the crossing.
    """

    limit: float
    earliest: Timestamp
    latest: Timestamp
    confidence: float


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Verdicts on the k elements of a batch, in its order.

    code, cause: int8 (k,).
    statistic: float64 (k,), number that the strategy computed, in the unit of `threshold`.
    threshold: float64 (k,), limit that decided; NaN = none did.
    p: float64 (k,), probability of so extreme a statistic for a healthy model, for strategies that compute it (1 / e of
        an e-value is one); NaN = unknown.
    """

    code: Int8
    cause: Int8
    statistic: Floats
    threshold: Floats
    p: Floats | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.code)

    def band(self) -> tuple[Floats, Floats] | None:
        """Return lower and upper bounds (k,) of the expected range in the signal's unit, NaN = unknown; or None."""
        return None

    @staticmethod
    def inconclusive(size: int, cause: Cause) -> Verdicts:
        """Return `size` inconclusive verdicts with the given cause."""
        code, causes = np.full(size, Code.INCONCLUSIVE, np.int8), np.full(size, cause, np.int8)
        # An array each: strategies fill in the statistic.
        return Verdicts(code, causes, np.full(size, np.nan), np.full(size, np.nan))
