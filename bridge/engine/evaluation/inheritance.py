"""What a new version of a model takes over from the version before it, for strategies that learn from retrainings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import Slots
from bridge.domain.model import ModelTable
from bridge.strategies.base import RetrainStrategy, StateColumn


def succeed(
    strategy: RetrainStrategy, state: StateColumn, index: Slots, every: StateColumn, known: NDArray[np.bool_],
    table: ModelTable,
) -> None:  # fmt: skip
    """Fill the state of models that are new and whose pipeline had a version before; the latest one that has any.

    state: (k,) of the models at `index` (k,), changed in place. every, known: (n,) of all models.
    """
    new = np.flatnonzero(~known[index])
    new = new[~_any(state[new])]
    pairs = [(row, former) for row in new.tolist() if (former := _former(int(index[row]), every, table)) >= 0]
    if pairs:
        rows, formers = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
        state[rows] = strategy.successor(every[formers])


def _former(slot: int, every: StateColumn, table: ModelTable) -> int:
    """The model slot of the version that was seen latest and has a state; -1 when there is none."""
    others = [other for other in table.versions(slot) if other != slot and other < len(every)]
    return next((other for other in reversed(others) if _any(every[other : other + 1])[0]), -1)


def _any(state: StateColumn) -> NDArray[np.bool_]:
    """(k,) whether there is anything in it."""
    plain = np.ascontiguousarray(state).view(np.uint8)
    return np.asarray(plain.reshape(len(state), state.dtype.itemsize).any(axis=1))
