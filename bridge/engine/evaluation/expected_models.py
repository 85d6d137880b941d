"""Models that each signal is expected to report, learned from earlier responses and kept across restarts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelKey
from bridge.domain.times import Duration, Timestamp
from bridge.ports import RETIRED, Sighting

Instants = NDArray[np.int64]
ALWAYS: Timestamp = 1  # first seen before the bridge started to watch


@dataclass(slots=True)
class ExpectedModels:
    """Expected models of one signal, one row per model. Instants in ms.

    first_seen: 0 = not expected.
    missing_since: 0 = reporting.
    retired: rows of models that were retired, and since when `discover` does not list them, 0 = it does; but that alone
        does not make them expected again.
    """

    first_seen: Instants
    missing_since: Instants
    retired: dict[int, Timestamp] = field(default_factory=dict)

    @staticmethod
    def empty() -> ExpectedModels:
        """Return columns without rows."""
        return ExpectedModels(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def copy(self) -> ExpectedModels:
        """Return a deep copy."""
        return ExpectedModels(self.first_seen.copy(), self.missing_since.copy(), dict(self.retired))

    def grow(self, size: int) -> None:
        """Extend the columns to `size` rows; new rows are not expected."""
        more = size - len(self.first_seen)
        if more > 0:
            self.first_seen = np.concatenate([self.first_seen, np.zeros(more, np.int64)])
            self.missing_since = np.concatenate([self.missing_since, np.zeros(more, np.int64)])

    def restore(self, sightings: Iterable[tuple[int, Sighting]]) -> None:
        """Load stored sightings, given with their rows."""
        stored = list(sightings)
        rows = np.array([row for row, _ in stored], np.int64)
        self.grow(int(rows.max(initial=-1)) + 1)
        self.first_seen[rows] = [sighting.first_seen for _, sighting in stored]
        self.missing_since[rows] = [sighting.missing_since for _, sighting in stored]
        retired = np.flatnonzero(self.first_seen == RETIRED)
        self.retired = dict(zip(retired.tolist(), self.missing_since[retired].tolist(), strict=True))
        self.first_seen[retired] = self.missing_since[retired] = 0

    def see(self, present: NDArray[np.int32], slot: Timestamp) -> None:
        """Record a complete response: models in `present` (rows) are expected from now on, others are missing."""
        known = self.first_seen > 0
        began = slot if known.any() else ALWAYS
        here = np.zeros(len(self.first_seen), np.bool_)
        here[present] = True
        self.first_seen[here & ~known] = began
        self.missing_since[here] = 0
        if self.retired:
            for row in self.retired.keys() & set(present.tolist()):
                del self.retired[row]
        self.missing_since[known & ~here & (self.missing_since == 0)] = slot

    def discover(self, models: NDArray[np.int32], slot: Timestamp) -> None:
        """Expect models that must report even if they never have; they are missing until they do."""
        new = np.array(
            [row for row in models.tolist() if not self.first_seen[row] and row not in self.retired], np.int64
        )
        self.first_seen[new] = slot
        self.missing_since[new] = slot
        if self.retired:
            listed = set(models.tolist())
            self.retired = {row: 0 if row in listed else since or slot for row, since in self.retired.items()}

    def overdue(self, slot: Timestamp, after: Duration) -> NDArray[np.int64]:
        """Return the rows of models that have been missing for at least `after` ms."""
        return np.flatnonzero((self.missing_since > 0) & (slot - self.missing_since >= after))

    def drop(self, rows: NDArray[np.int64], *, discovered: bool) -> None:
        """Stop expecting these models. discovered: `discover` may still list them."""
        self.first_seen[rows] = 0
        self.missing_since[rows] = 0
        if discovered:
            self.retired.update(dict.fromkeys(rows.tolist(), 0))

    def forget(self, slot: Timestamp, after: Duration) -> None:
        """Forget retired models that `discover` has not listed for `after` ms."""
        if any(self.retired.values()):
            self.retired = {row: since for row, since in self.retired.items() if not since or slot - since < after}

    def changes(self, before: ExpectedModels, group: str, signal: str, models: Sequence[ModelKey]) -> list[Sighting]:
        """Return the sightings that differ from `before`, the stored state."""
        size, grown = len(before.first_seen), len(self.first_seen)
        changed = np.zeros(grown, np.bool_)
        changed[:size] = (self.first_seen[:size] != before.first_seen) | (
            self.missing_since[:size] != before.missing_since
        )
        changed[size:] = self.first_seen[size:] > 0
        if self.retired != before.retired:
            changed[[row for row, _ in self.retired.items() ^ before.retired.items()]] = True
        return [self.sighting(group, signal, models, row) for row in np.flatnonzero(changed).tolist()]

    def sighting(self, group: str, signal: str, models: Sequence[ModelKey], row: int) -> Sighting:
        """Return what to store of a row."""
        if row in self.retired:
            return Sighting(group, signal, models[row], RETIRED, self.retired[row])
        return Sighting(group, signal, models[row], int(self.first_seen[row]), int(self.missing_since[row]))

    def rows(self) -> list[int]:
        """Return the rows that are stored: of expected and of retired models."""
        return sorted({*np.flatnonzero(self.first_seen).tolist(), *self.retired})


@dataclass(slots=True)
class ExpectedModelsState:
    """Live and staged expected models of a signal: a tick changes `staged`, then commits or rolls back.

    name: key in the store.
    """

    name: str
    live: ExpectedModels
    staged: ExpectedModels

    @staticmethod
    def fresh(name: str) -> ExpectedModelsState:
        """Return a state without models."""
        models = ExpectedModels.empty()
        return ExpectedModelsState(name, models, models)

    def begin(self) -> None:
        """Start a tick on a copy."""
        self.staged = self.live.copy()

    def commit(self) -> None:
        """Make the staged state live, once it is stored."""
        self.live = self.staged

    def rollback(self) -> None:
        """Discard the staged state."""
        self.staged = self.live
