"""Store in memory that can refuse commits."""

from __future__ import annotations

from bridge.domain.errors import StoreError
from bridge.ports import TickChanges
from bridge.store.memory import MemoryStore


class FailingStore(MemoryStore):
    """A store that refuses every commit while `refuses` is set."""

    refuses = False

    def commit(self, changes: TickChanges) -> None:
        if self.refuses:
            raise StoreError("disk full")
        super().commit(changes)
