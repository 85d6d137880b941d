"""Plan of the slots that a group must evaluate: the present one, and missed ones."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.rule import Group
from bridge.domain.times import Duration, Timestamp


@dataclass(frozen=True, slots=True)
class Plan:
    """Slots to evaluate.

    slot: the present slot, evaluated last.
    missed: earlier slots to catch up, oldest first.
    gap: time in ms before them that is never evaluated.
    """

    slot: Timestamp
    missed: tuple[Timestamp, ...]
    gap: Duration

    @property
    def missed_count(self) -> int:
        """Number of missed slots to catch up."""
        return len(self.missed)


def plan(group: Group, last: Timestamp | None, now: Timestamp, limit: Duration) -> Plan | None:
    """Return the slots to evaluate at `now`, or None if the present slot is stored already.

    Missed slots are caught up as far back as `limit` ms; older ones are never evaluated.

    last: the last stored slot, None = never evaluated.
    """
    slot = group.slot_at(now)
    if last is None:
        return Plan(slot, (), 0)
    if slot <= last:
        return None
    first = group.slot_at(last) + group.interval
    oldest = max(first, group.slot_at(slot - limit) + group.interval)
    return Plan(slot, tuple(range(oldest, slot, group.interval)), max(0, oldest - first))
