"""Models of which a rule has had numbers for long, and has not judged once: it guards them no better than no rule."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, Duration, Timestamp
from bridge.domain.verdict import Cause, Code, Int8
from bridge.strategies.base import RetrainStrategy

Instants = NDArray[np.int64]
JUDGED: Timestamp = -1
LEAST: Duration = DAY  # of numbers without a verdict, however short a warm-up is: no traffic at night is no fault
_NO_NUMBER = [Cause.NO_DATA, Cause.NAN, Cause.QUERY_ERROR, Cause.PARTIAL]


def note(since: Instants, code: Int8, cause: Int8, slot: Timestamp) -> None:
    """Note in `since` (n,) which models were judged in this slot, and from when on the others have had numbers.

    since: the first slot with a number, 0 before it, JUDGED for ever after a verdict; changed in place.
    """
    waits = since >= 0
    if waits.any():
        since[waits & (code != Code.INCONCLUSIVE)] = JUDGED
        since[(since == 0) & ~np.isin(cause, _NO_NUMBER)] = slot


def overdue(since: Instants, slot: Timestamp, patience: Duration) -> NDArray[np.int64]:
    """Return the places of models that have had numbers for longer than `patience` and were never judged."""
    return np.flatnonzero((since > 0) & (slot - since > patience))


def patience_of(strategies: Iterable[RetrainStrategy | None], warm_up: Duration) -> Duration:
    """Return two warm-ups of the slowest strategy, or of the rule, and a day at least."""
    longest = max([warm_up, *(one.warm_up for one in strategies if one is not None)])
    return max(2 * longest, LEAST)
