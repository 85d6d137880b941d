"""Which models a signal is expected to report: remembered from what was seen, over restarts too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelKey
from bridge.domain.times import Duration, Timestamp
from bridge.ports import Sighting

Instants = NDArray[np.int64]
ALWAYS: Timestamp = 1  # first seen before the bridge looked


@dataclass(slots=True)
class ExpectedModels:
    """The expected models of one signal, columns over model slots; instants in ms, first_seen 0 = not expected.

    left: models that are gone for good; `discover` alone does not bring them back.
    """

    first_seen: Instants
    missing_since: Instants
    left: set[int] = field(default_factory=set)

    @staticmethod
    def empty() -> ExpectedModels:
        return ExpectedModels(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def copy(self) -> ExpectedModels:
        return ExpectedModels(self.first_seen.copy(), self.missing_since.copy(), set(self.left))

    def grow(self, size: int) -> None:
        """Make room for `size` model slots."""
        more = size - len(self.first_seen)
        if more > 0:
            self.first_seen = np.concatenate([self.first_seen, np.zeros(more, np.int64)])
            self.missing_since = np.concatenate([self.missing_since, np.zeros(more, np.int64)])

    def restore(self, sightings: Iterable[tuple[int, Sighting]]) -> None:
        """Take over what is stored, by model slot."""
        for slot, sighting in sightings:
            self.grow(slot + 1)
            self.first_seen[slot] = sighting.first_seen
            self.missing_since[slot] = sighting.missing_since

    def see(self, present: NDArray[np.int32], slot: Timestamp) -> None:
        """A whole answer came with the models `present`: new ones are expected from now on, absent ones are missing."""
        known = self.first_seen > 0
        began = slot if known.any() else ALWAYS
        here = np.zeros(len(self.first_seen), np.bool_)
        here[present] = True
        self.first_seen[here & ~known] = began
        self.missing_since[here] = 0
        if self.left:
            self.left.difference_update(present.tolist())
        self.missing_since[known & ~here & (self.missing_since == 0)] = slot

    def discover(self, models: NDArray[np.int32], slot: Timestamp) -> None:
        """Models that must report, whether they ever did or not: missing from now on until they do."""
        new = np.array(
            [slot for slot in models.tolist() if not self.first_seen[slot] and slot not in self.left], np.int64
        )
        self.first_seen[new] = slot
        self.missing_since[new] = slot

    def overdue(self, slot: Timestamp, after: Duration) -> NDArray[np.int64]:
        """Model slots that have been missing for `after` ms."""
        return np.flatnonzero((self.missing_since > 0) & (slot - self.missing_since >= after))

    def drop(self, slots: NDArray[np.int64]) -> None:
        """Expect these no longer."""
        self.first_seen[slots] = 0
        self.missing_since[slots] = 0
        self.left.update(slots.tolist())

    def changes(self, before: ExpectedModels, group: str, signal: str, models: Sequence[ModelKey]) -> list[Sighting]:
        """What differs from what is stored, to be stored."""
        size, grown = len(before.first_seen), len(self.first_seen)
        changed = np.zeros(grown, np.bool_)
        changed[:size] = (self.first_seen[:size] != before.first_seen) | (
            self.missing_since[:size] != before.missing_since
        )
        changed[size:] = self.first_seen[size:] > 0
        return [
            Sighting(group, signal, models[slot], int(self.first_seen[slot]), int(self.missing_since[slot]))
            for slot in np.flatnonzero(changed).tolist()
        ]


@dataclass(slots=True)
class ExpectedModelsState:
    """A signal's roster at work: a tick works on `staged`, and commits or rolls back. name: as it is stored."""

    name: str
    live: ExpectedModels
    staged: ExpectedModels

    @staticmethod
    def fresh(name: str) -> ExpectedModelsState:
        roster = ExpectedModels.empty()
        return ExpectedModelsState(name, roster, roster)

    def begin(self) -> None:
        """From now on changes go to a copy."""
        self.staged = self.live.copy()

    def commit(self) -> None:
        """They are stored."""
        self.live = self.staged

    def rollback(self) -> None:
        """They could not be stored: as if they had not been."""
        self.staged = self.live
