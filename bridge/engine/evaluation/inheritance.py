"""Inheritance of strategy state, for strategies that learn across models.

A new version inherits from the version before it. The first version of a pipeline starts with what its siblings know,
the other pipelines of its project.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import Rows
from bridge.domain.model import ModelTable, PipelineKey
from bridge.strategies.base import RetrainStrategy, StateColumn

MOST_SIBLINGS = 50  # pipelines whose state is pooled


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
    formers = np.array([_former(int(index[position]), every, table) for position in new.tolist()], np.int64)
    later = formers >= 0
    if later.any():
        state[new[later]] = strategy.successor(every[formers[later]])
    if not later.all():
        _greet(strategy, state, index, new[~later], every, table)


def _greet(
    strategy: RetrainStrategy, state: StateColumn, index: Rows, first: NDArray[np.int64], every: StateColumn,
    table: ModelTable,
) -> None:  # fmt: skip
    """Fill the state of first versions, at the positions `first`, from their siblings that have state."""
    projects: dict[str, list[int]] = {}
    for position in first.tolist():
        projects.setdefault(table[int(index[position])].project, []).append(position)
    latest: dict[str, dict[PipelineKey, int]] = {project: {} for project in projects}
    for row in np.flatnonzero(_has_state(every)).tolist():
        if (found := latest.get(table[row].project)) is not None:
            found[table[row].owner] = row
    for project, positions in projects.items():
        if siblings := list(latest[project].values())[-MOST_SIBLINGS:]:
            state[positions] = strategy.newcomer(every[siblings])


def _former(row: int, every: StateColumn, table: ModelTable) -> int:
    """Return the row of the latest other version that has state; -1 = none."""
    others = [other for other in table.versions(row) if other != row and other < len(every)]
    return next((other for other in reversed(others) if _has_state(every[other : other + 1])[0]), -1)


def _has_state(state: StateColumn) -> NDArray[np.bool_]:
    """Return which elements have any state, bool (k,)."""
    plain = np.ascontiguousarray(state).view(np.uint8)
    return np.asarray(plain.reshape(len(state), state.dtype.itemsize).any(axis=1))
