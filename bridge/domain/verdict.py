"""One vocabulary for what a strategy says of a model: code, cause of not knowing, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
Floats = NDArray[np.float64]


USE = "use"  # the policy that takes a partial answer for a whole one


class Code(IntEnum):
    """What a strategy says of one model in one slot; int8 in columns."""

    OK = 0
    BREACHED = 1
    BAND = 2  # between `clear` and the limit: keeps a firing rule firing, starts nothing
    INCONCLUSIVE = 3


class Cause(IntEnum):
    """Why a verdict is inconclusive; NONE with every other code."""

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
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Verdicts over the k elements of a batch, in its order.

    code, cause: int8 (k,). statistic: float64 (k,), what the strategy made of the value, in the unit of `threshold`.
    threshold: float64 (k,), the limit that decided (NaN where none did). p: float64 (k,), how probable a statistic as
    extreme is of a healthy model, from strategies that know (1 / e of an e-value is one); NaN where it is not known.
    """

    code: Int8
    cause: Int8
    statistic: Floats
    threshold: Floats
    p: Floats | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.code)

    def band(self) -> tuple[Floats, Floats] | None:
        """Between which values (k,), (k,) the signal usually is, in its unit, NaN = not known; None: never known."""
        return None

    @staticmethod
    def inconclusive(size: int, cause: Cause) -> Verdicts:
        """`size` verdicts that all say: not known, because of `cause`."""
        nan = np.full(size, np.nan)
        return Verdicts(np.full(size, Code.INCONCLUSIVE, np.int8), np.full(size, cause, np.int8), nan, nan)
