"""What may hold a request back, in order; pure. A gate holds, it never drops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.domain.request import HoldReason
from bridge.domain.rule import Budget
from bridge.domain.times import Duration, Timestamp


@dataclass(frozen=True, slots=True)
class PipelineLoad:
    """What is known of one (project, pipeline): `busy_until` 0 = nothing is in flight; `last_end` 0 = never retrained.

    busy_until: when an unanswered request stops counting. last_end: completion of the latest one, else its delivery.
    unhelpful: how many retrainings in a row did not help.
    """

    busy_until: Timestamp = 0
    last_end: Timestamp = 0
    unhelpful: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """A gate is closed: which one, and until when (expected; 0 = when somebody acts)."""

    reason: HoldReason
    until: Timestamp


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the gates look at for one request. Every `..._until`: instant in ms, closed while it is later than slot.

    attempts: closed after so many retrainings in a row that did not help, 0 = never. silences_unknown: nobody knows
    whether it is silenced, and that holds; or a silence that may cover it cannot be understood. unapproved: somebody
    has to say yes first.
    """

    slot: Timestamp
    load: PipelineLoad
    cooldown: Duration
    attempts: int = 0
    paused_until: Timestamp = 0
    budget_until: Timestamp = 0
    storm_until: Timestamp = 0
    silenced_until: Timestamp = 0
    silences_unknown: bool = False
    muted_until: Timestamp = 0
    unapproved: bool = False


def gates(now: Situation) -> tuple[tuple[HoldReason, bool, Timestamp], ...]:
    """Every gate in order: whether it is closed, and until when (expected; 0 = when somebody acts)."""
    load, slot = now.load, now.slot
    cooled = load.last_end + now.cooldown if load.last_end else 0
    return (
        (HoldReason.PAUSED, now.paused_until > slot, now.paused_until),
        (HoldReason.IN_FLIGHT, load.busy_until > slot, load.busy_until),
        (HoldReason.ATTEMPTS, 0 < now.attempts <= load.unhelpful, 0),
        (HoldReason.COOLDOWN, cooled > slot, cooled),
        (HoldReason.BUDGET, now.budget_until > slot, now.budget_until),
        (HoldReason.STORM, now.storm_until > slot, now.storm_until),
        (HoldReason.SILENCED, now.silenced_until > slot, now.silenced_until),
        (HoldReason.SILENCES_UNKNOWN, now.silences_unknown, 0),
        (HoldReason.MUTED, now.muted_until > slot, now.muted_until),
        (HoldReason.APPROVAL, now.unapproved, 0),
    )


def check(now: Situation) -> Hold | None:
    """The first closed gate, or None: the request may go."""
    return next((Hold(reason, until) for reason, closed, until in gates(now) if closed), None)


def budget_until(earlier: Sequence[Timestamp], later: Sequence[Timestamp], rate: Budget) -> Timestamp:
    """From when one more fits into the rate; in the past: it fits now.

    earlier, later: instants at which others went, ascending, the later ones after the earlier ones.
    """
    place = rate.count - len(later)  # of the one, counted from the end, that has to leave the window
    if place <= 0:
        return later[-rate.count] + rate.window
    return earlier[-place] + rate.window if place <= len(earlier) else 0
