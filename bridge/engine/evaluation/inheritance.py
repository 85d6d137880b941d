"""Inheritance of strategy state by a new version of a model, for strategies that learn across retrainings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import Rows
from bridge.domain.model import ModelTable
from bridge.strategies.base import RetrainStrategy, StateColumn


def inherit(
    strategy: RetrainStrategy, state: StateColumn, index: Rows, every: StateColumn, known: NDArray[np.bool_],
    table: ModelTable,
) -> None:  # fmt: skip
    """Fill the state of new models from the latest earlier version of their pipeline that has state.

    state: (k,), state of the models at the rows `index` (k,); changed in place.
    every, known: (n,), of all models.
    """
    new = np.flatnonzero(~known[index])
    new = new[~_has_state(state[new])]
    pairs = [
        (position, former) for position in new.tolist() if (former := _former(int(index[position]), every, table)) >= 0
    ]
    if pairs:
        positions, formers = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
        state[positions] = strategy.successor(every[formers])


def _former(row: int, every: StateColumn, table: ModelTable) -> int:
    """Return the row of the latest other version that has state; -1 = none."""
    others = [other for other in table.versions(row) if other != row and other < len(every)]
    return next((other for other in reversed(others) if _has_state(every[other : other + 1])[0]), -1)


def _has_state(state: StateColumn) -> NDArray[np.bool_]:
    """Return which elements have any state, bool (k,)."""
    plain = np.ascontiguousarray(state).view(np.uint8)
    return np.asarray(plain.reshape(len(state), state.dtype.itemsize).any(axis=1))
