"""Verdict of a strategy on a model: code, cause of an inconclusive verdict, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
Floats = NDArray[np.float64]


USE = "use"  # policy that treats a partial response as complete


class Code(IntEnum):
    """Verdict code for one model in one slot; int8 in columns."""

    OK = 0
    BREACHED = 1
    BAND = 2  # between `clear` and the limit: keeps a firing rule firing, starts nothing
    INCONCLUSIVE = 3


class Cause(IntEnum):
    """Cause of an inconclusive verdict; NONE with every other code."""

    NONE = 0
    NO_DATA = 1
    NAN = 2
    QUERY_ERROR = 3
    PARTIAL = 4
    INSUFFICIENT = 5
    STALE = 6
    BLIND = 7
    WARMING_UP = 8

    @property
    def word(self) -> str:
        """Name of the cause in lower case, as in decisions and metrics."""
        return self.name.lower()


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
        nan = np.full(size, np.nan)
        return Verdicts(np.full(size, Code.INCONCLUSIVE, np.int8), np.full(size, cause, np.int8), nan, nan)
