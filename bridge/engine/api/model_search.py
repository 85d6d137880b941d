"""One page of the models, the worst first: columns are searched and sorted, and only what is shown becomes objects."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelTable
from bridge.engine.api.model_states import STATES, UNSEEN
from bridge.engine.api.views import ModelState

Slots = NDArray[np.int64]


@dataclass(slots=True)
class Finder:
    """Keeps the models' names in lower case and their order by name; both grow with the table."""

    table: ModelTable
    _names: list[str] = field(default_factory=list)
    _rank: Slots = field(default_factory=lambda: np.zeros(0, np.int64))

    def find(
        self, states: NDArray[np.int8], text: str, wanted: Collection[ModelState], first: int, last: int
    ) -> tuple[Slots, int]:
        """Model slots whose name holds every word of `text`, in one of the states (none: any), the worst first.

        states: (n,) as fleet.present_states makes them. Those from `first` to before `last`, and how many there are.
        """
        self._grow(len(states))
        chosen = states != UNSEEN
        if wanted:
            chosen &= np.isin(states, [STATES.index(state) for state in wanted])
        found = np.flatnonzero(chosen)
        names = self._names
        for word in text.lower().split():
            found = np.array([slot for slot in found.tolist() if word in names[slot]], np.int64)
        order = states[found] * np.int64(len(states)) + self._rank[found]
        best = np.argpartition(order, last)[:last] if last < len(order) else np.arange(len(order))
        shown: Slots = found[best[np.argsort(order[best])]][first:last]
        return shown, len(found)

    def _grow(self, size: int) -> None:
        if len(self._names) == size:
            return
        self._names += [str(self.table[slot]).lower() for slot in range(len(self._names), size)]
        self._rank = np.empty(size, np.int64)
        self._rank[sorted(range(size), key=self.table.__getitem__)] = np.arange(size)
