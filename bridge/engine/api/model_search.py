"""Search for models over columns, worst state first; only the page that is shown becomes objects."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelTable
from bridge.engine.api.model_states import STATES, UNSEEN
from bridge.engine.api.views import ModelState

Rows = NDArray[np.int64]


@dataclass(slots=True)
class Finder:
    """Search index over model names; it grows with the table."""

    table: ModelTable
    _names: list[str] = field(default_factory=list)
    _rank: Rows = field(default_factory=lambda: np.zeros(0, np.int64))
    _parts: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    _numbers: tuple[dict[str, int], ...] = field(default_factory=lambda: ({}, {}, {}))

    def by_name(
        self, states: NDArray[np.int8], parts: Sequence[str], wanted: Collection[ModelState], first: int, last: int
    ) -> tuple[Rows, int]:
        """Return the rows of one page of matching models, by name, and the number of all matches.

        parts: project, pipeline and version, "" for any; the others are those of `find`.
        """
        self._grow(len(states))
        chosen = self._chosen(states, wanted)
        for index, part in enumerate(parts):
            if part:
                chosen &= self._parts[:, index] == self._numbers[index].get(part, -1)
        rows = np.flatnonzero(chosen)
        return _page(rows, self._rank[rows], first, last), len(rows)

    @staticmethod
    def _chosen(states: NDArray[np.int8], wanted: Collection[ModelState]) -> NDArray[np.bool_]:
        """Return a mask of the models that a rule has seen, in one of the states."""
        if not wanted:
            return np.asarray(states != UNSEEN)
        return np.isin(states, [STATES.index(state) for state in wanted])

    def find(
        self, states: NDArray[np.int8], text: str, wanted: Collection[ModelState], first: int, last: int
    ) -> tuple[Rows, int]:
        """Return the rows of one page of matching models, worst state first, and the number of all matches.

        states: (n,) as returned by present_states.
        text: words that the model's name must contain.
        wanted: states to include, empty for all.
        first, last: bounds of the page; `last` is exclusive.
        """
        self._grow(len(states))
        rows = np.flatnonzero(self._chosen(states, wanted))
        names = self._names
        for word in text.lower().split():
            rows = np.array([row for row in rows.tolist() if word in names[row]], np.int64)
        order = states[rows] * np.int64(len(states)) + self._rank[rows]
        return _page(rows, order, first, last), len(rows)

    def _grow(self, size: int) -> None:
        if len(self._names) == size:
            return
        self._names += [str(self.table[row]).lower() for row in range(len(self._names), size)]
        self._rank = np.empty(size, np.int64)
        self._rank[sorted(range(size), key=self.table.__getitem__)] = np.arange(size)
        models = [self.table[row] for row in range(len(self._parts), size)]
        new = [
            [
                numbers.setdefault(part, len(numbers))
                for numbers, part in zip(self._numbers, (model.project, model.pipeline, model.version), strict=True)
            ]
            for model in models
        ]
        self._parts = np.concatenate([self._parts, np.array(new, np.int32)])


def _page(rows: Rows, order: Rows, first: int, last: int) -> Rows:
    """Return the rows at the positions `first` to `last` in ascending order."""
    best = np.argpartition(order, last)[:last] if last < len(order) else np.arange(len(order))
    shown: Rows = rows[best[np.argsort(order[best])]][first:last]
    return shown
