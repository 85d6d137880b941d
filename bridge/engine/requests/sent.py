"""Sending times of requests, for budgets."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field

from bridge.domain.model import PipelineKey
from bridge.domain.times import Timestamp


@dataclass(slots=True)
class Sent:
    """Sending times of requests, ascending, in total, by project and by pipeline.

    times: by (), (project,) and (project, pipeline).
    """

    times: dict[tuple[str, ...], array[int]] = field(default_factory=dict)

    def add(self, owner: PipelineKey, at: Timestamp) -> None:
        """Add a request; `at` is not before the existing times."""
        for key in ((), (owner.project,), (owner.project, owner.pipeline)):
            times = self.times.get(key)
            if times is None:
                times = self.times[key] = array("q")
            times.append(at)

    def forget(self, before: Timestamp) -> None:
        """Drop the times before `before`."""
        if not self.times or self.times[()][0] >= before:
            return
        for key, times in list(self.times.items()):
            if times[0] < before:
                recent = times[bisect_left(times, before) :]
                if recent:
                    self.times[key] = recent
                else:
                    del self.times[key]
