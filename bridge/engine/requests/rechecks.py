"""Rechecks of held requests: only when due, or when what holds them has changed."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from bridge.domain.model import ModelKey, PipelineKey
from bridge.domain.request import HoldReason
from bridge.domain.times import Timestamp

# Gates before which no gate closes by time alone: their hold lasts until its end, or until a change.
POSTPONED = frozenset(
    {
        HoldReason.PAUSED,
        HoldReason.IN_FLIGHT,
        HoldReason.ATTEMPTS,
        HoldReason.COOLDOWN,
        HoldReason.BUDGET,
        HoldReason.STORM,
    }
)
Storms = Mapping[str, tuple[Timestamp, Timestamp]]


@dataclass(slots=True)
class Rechecks:
    """Schedule of the rechecks of held requests, by model. What is not postponed is rechecked in every slot.

    storms: the storms when the requests were checked.
    budgets: True if there are budgets.
    """

    storms: Storms = field(default_factory=dict)
    budgets: bool = True
    _postponed: dict[ModelKey, Timestamp] = field(default_factory=dict)
    _of_pipeline: dict[PipelineKey, set[ModelKey]] = field(default_factory=dict)
    _due: list[tuple[Timestamp, ModelKey]] = field(default_factory=list)

    def postponed(self, changed: Set[PipelineKey], *, sent: bool) -> Set[ModelKey]:
        """Return the models whose held request need not be rechecked yet.

        changed, sent: pipelines with a changed request, and whether one was sent, since the last commit. A tick that
        catches up has several slots; it decides as one that reads its changes from the store.
        """
        if sent and self.budgets:
            return frozenset()
        due = [self._of_pipeline[owner] for owner in self._of_pipeline.keys() & changed]
        return self._postponed.keys() - set().union(*due) if due else self._postponed.keys()

    def postpone(self, model: ModelKey, until: Timestamp) -> None:
        """Recheck the model's request at `until`, unless something changes before."""
        self._postponed[model] = until
        self._of_pipeline.setdefault(model.owner, set()).add(model)
        heapq.heappush(self._due, (until, model))

    def pipeline_changed(self, owner: PipelineKey) -> None:
        """Recheck the held requests of a pipeline in the next slot."""
        for model in self._of_pipeline.pop(owner, ()):
            self._postponed.pop(model, None)

    def everything_changed(self) -> None:
        """Recheck all held requests in the next slot."""
        self._postponed.clear()
        self._of_pipeline.clear()
        self._due.clear()

    def sent(self) -> None:
        """Recheck all held requests in the next slot if a budget counts the requests that are sent."""
        if self.budgets:
            self.everything_changed()

    def begin(self, slot: Timestamp, storms: Storms, *, budgets: bool) -> None:
        """Recheck what is due at `slot`, and everything if a storm began, grew or ended. budgets: see the field."""
        self.budgets = budgets
        if storms != self.storms:
            self.storms = dict(storms)
            self.everything_changed()
        while self._due and self._due[0][0] <= slot:
            until, model = heapq.heappop(self._due)
            if self._postponed.get(model) == until:
                del self._postponed[model]
                self._of_pipeline[model.owner].discard(model)
