"""Gates that hold a request, in order. Pure functions. A gate holds a request; it never drops it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bridge.domain.request import HoldReason
from bridge.domain.rule import Budget
from bridge.domain.shared_cause import SharedCause
from bridge.domain.times import Duration, Timestamp


class PipelineLoad(msgspec.Struct, frozen=True, gc=False):
    """Retraining activity of one pipeline.

    busy_until: when requests without a reported outcome stop counting as in flight; 0 = none is in flight.
    last_end: end of the latest retraining, else its delivery; 0 = never retrained.
    unhelpful: number of retrainings in a row that did not help.
    """

    busy_until: Timestamp = 0
    last_end: Timestamp = 0
    unhelpful: int = 0


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Closed gate.

    until: when it is expected to open; 0 = when someone acts.
    """

    reason: HoldReason
    until: Timestamp


class GateInput(msgspec.Struct, frozen=True, gc=False):
    """Input of the gates for one request.

    ..._until: instants in ms; the gate is closed while `slot` is earlier.
    attempts: number of retrainings in a row without success that closes the gate, 0 = never.
    shared_cause: the cause that the model's breach shares with its siblings; None = the breach is its own.
    shared_until: when that gate opens, 0 = while the siblings are unhealthy.
    silences_unknown: True if the request is held because it is unknown whether it is silenced: the list of silences is
        outdated and the configuration holds requests then, or a silence that may match has a matcher that cannot be
        parsed.
    unapproved: True if the request still needs approval.
    """

    slot: Timestamp
    load: PipelineLoad
    cooldown: Duration
    attempts: int = 0
    paused_until: Timestamp = 0
    budget_until: Timestamp = 0
    storm_until: Timestamp = 0
    weighing_until: Timestamp = 0
    shared_cause: SharedCause | None = None
    shared_until: Timestamp = 0
    silenced_until: Timestamp = 0
    silences_unknown: bool = False
    muted_until: Timestamp = 0
    unapproved: bool = False


def gates(now: GateInput) -> list[tuple[HoldReason, bool, Timestamp]]:
    """Return every gate in order: its reason, whether it is closed, and until when (0 = until someone acts)."""
    until = (
        now.paused_until, now.load.busy_until, 0, _cooled(now), now.budget_until, now.storm_until, now.weighing_until,
        now.shared_until, now.silenced_until, 0, now.muted_until, 0,
    )  # fmt: skip
    return list(zip(HoldReason, _closed(now), until, strict=True))


def check(now: GateInput) -> Hold | None:
    """Return the first closed gate, or None if the request may be sent."""
    if True not in _closed(now):
        return None
    return next(Hold(reason, until) for reason, closed, until in gates(now) if closed)


def _closed(now: GateInput) -> tuple[bool, ...]:
    """Return for every gate in order whether it is closed."""
    load, slot = now.load, now.slot
    return (
        now.paused_until > slot, load.busy_until > slot, 0 < now.attempts <= load.unhelpful, _cooled(now) > slot,
        now.budget_until > slot, now.storm_until > slot, now.weighing_until > slot, now.shared_cause is not None,
        now.silenced_until > slot, now.silences_unknown, now.muted_until > slot, now.unapproved,
    )  # fmt: skip


def _cooled(now: GateInput) -> Timestamp:
    """Return when the cooldown ends, 0 = none began."""
    return now.load.last_end + now.cooldown if now.load.last_end else 0


def budget_until(earlier: Sequence[Timestamp], later: Sequence[Timestamp], rate: Budget) -> Timestamp:
    """Return when the budget allows one more request; an instant in the past means now.

    earlier, later: instants of the requests sent so far, ascending; all of `later` are after `earlier`.
    """
    from_end = rate.count - len(later)  # position in `earlier` of the request that must leave the window first
    if from_end <= 0:
        return later[-rate.count] + rate.window
    return earlier[-from_end] + rate.window if from_end <= len(earlier) else 0
