"""Which slots a group has to evaluate: the present one, and those that were missed."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.rule import Group
from bridge.domain.times import Duration, Timestamp


@dataclass(frozen=True, slots=True)
class Plan:
    """Slots to evaluate, oldest first; the last one is `slot`. gap: ms before them that are given up."""

    slot: Timestamp
    missed: tuple[Timestamp, ...]
    gap: Duration

    @property
    def missed_count(self) -> int:
        return len(self.missed)


def plan(group: Group, last: Timestamp | None, now: Timestamp, limit: Duration) -> Plan | None:
    """What to do at `now` when `last` was the last slot stored; None: the present slot is stored already.

    Missed slots are caught up as far back as `limit`; what is older counts as never evaluated.
    """
    slot = group.slot_at(now)
    if last is None:
        return Plan(slot, (), 0)
    if slot <= last:
        return None
    first = group.slot_at(last) + group.interval
    oldest = max(first, group.slot_at(slot - limit) + group.interval)
    return Plan(slot, tuple(range(oldest, slot, group.interval)), max(0, oldest - first))
