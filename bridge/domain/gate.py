"""What may hold a request back, in order; pure. A gate holds, it never drops."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.request import HoldReason
from bridge.domain.times import Duration, Timestamp


@dataclass(frozen=True, slots=True)
class PipelineLoad:
    """What is known of one (project, pipeline): `busy_until` 0 = nothing is in flight; `last_end` 0 = never retrained.

    busy_until: when an unanswered request stops counting. last_end: completion of the latest one, else its delivery.
    """

    busy_until: Timestamp = 0
    last_end: Timestamp = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """A gate is closed: which one, and until when (expected)."""

    reason: HoldReason
    until: Timestamp


def check(load: PipelineLoad, slot: Timestamp, cooldown: Duration) -> Hold | None:
    """The first closed gate for one more request of this pipeline, or None: it may go."""
    if load.busy_until > slot:
        return Hold(HoldReason.IN_FLIGHT, load.busy_until)
    if load.last_end and slot - load.last_end < cooldown:
        return Hold(HoldReason.COOLDOWN, load.last_end + cooldown)
    return None
