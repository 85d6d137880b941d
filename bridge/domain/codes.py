"""Codes of a verdict, and the causes of an inconclusive one; without numpy, so that commands start fast."""

from __future__ import annotations

from enum import IntEnum

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
