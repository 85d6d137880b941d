"""Detection of models with samples but no verdict for a long time: the rule does not protect them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, Duration, Timestamp
from bridge.domain.verdict import Cause, Code, Int8
from bridge.strategies.base import RetrainStrategy

Instants = NDArray[np.int64]
JUDGED: Timestamp = -1
LEAST: Duration = DAY  # minimum patience: a model without traffic at night is not a problem
_NO_NUMBER = [Cause.NO_DATA, Cause.NAN, Cause.QUERY_ERROR, Cause.PARTIAL]


def note(since: Instants, code: Int8, cause: Int8, slot: Timestamp) -> None:
    """Update `since` (n,) in place after a slot.

    since: first slot with a sample, 0 = none yet, JUDGED = the model has had a verdict.
    """
    waiting = since >= 0
    if waiting.any():
        since[waiting & (code != Code.INCONCLUSIVE)] = JUDGED
        since[(since == 0) & ~np.isin(cause, _NO_NUMBER)] = slot


def overdue(since: Instants, slot: Timestamp, patience: Duration) -> NDArray[np.int64]:
    """Return the rows of models that have had samples for longer than `patience` ms without any verdict."""
    return np.flatnonzero((since > 0) & (slot - since > patience))


def patience_of(strategies: Iterable[RetrainStrategy | None], warm_up: Duration) -> Duration:
    """Return twice the longest warm-up of the strategies or the rule, at least one day."""
    return max(2 * longest_of(strategies, warm_up), LEAST)


def longest_of(strategies: Iterable[RetrainStrategy | None], warm_up: Duration) -> Duration:
    """Return the longest warm-up of the strategies or the rule."""
    return max([warm_up, *(one.warm_up for one in strategies if one is not None)])
