"""Interface of the outbox, and its records: deliveries, claims, breakers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from bridge.domain.times import Duration, Timestamp
from bridge.ports.sinks import Delivery, Kind, Notification

DISCARDED = "discarded"  # reason of a dead delivery that an operator ended


class NewDelivery(msgspec.Struct, frozen=True, gc=False):
    """Notification to queue for a destination ("receiver/integration/index").

    bundle: key of the group that shares a message, "" = none: a JSON object with the start of the window (`at`) and the
        group's `labels`.
    due: end of the window, 0 = at once. A delivery committed later is sent separately.
    """

    request_id: str
    destination: str
    kind: Kind
    bundle: str = ""
    due: Timestamp = 0


class DeliveryState(StrEnum):
    """State of a delivery."""

    QUEUED = "queued"
    LEASED = "leased"
    RETRY = "retry"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Claim:
    """Leased delivery.

    attempt: counts from 1 and fences: settling with an older attempt has no effect.
    bundle: key of the group that shares a message, "" = none.
    due_at: when the delivery became due; `release` restores it.
    """

    id: int
    destination: str
    notification: Notification
    worker: str
    attempt: int
    queued_at: Timestamp
    bundle: str = ""
    due_at: Timestamp = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """Outcome of one attempt.

    claims: what was sent: one delivery, or the deliveries of a bundle.
    at: end of the attempt.
    next_at: when the deliveries are due again after RETRY and DENIED.
    apart: True = from now on each delivery of the bundle is sent separately.
    """

    claims: Sequence[Claim]
    delivery: Delivery
    at: Timestamp
    next_at: Timestamp
    apart: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """Delivery in the form shown to people."""

    id: int
    request_id: str
    destination: str
    kind: Kind
    state: DeliveryState
    attempts: int
    queued_at: Timestamp
    next_at: Timestamp
    updated_at: Timestamp
    reason: str = ""
    status: int = 0
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Persisted circuit breaker of a destination.

    failures: number of failures in a row.
    open_until: 0 = closed.
    paused_until: end of a Retry-After delay.
    """

    destination: str
    failures: int = 0
    open_until: Timestamp = 0
    paused_until: Timestamp = 0


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Size of a destination's queue.

    oldest_at: queued_at of the oldest delivery that is neither delivered nor dead; 0 = none.
    dead: without those that an operator discarded.
    """

    pending: int
    oldest_at: Timestamp
    dead: int


class Outbox(Protocol):
    """Delivery side of the store: one queue per destination, with leases. Raises StoreError.

    A RESOLVED delivery is never claimed before the FIRING one of the same request and destination is delivered or dead.
    """

    def claim(self, destination: str, worker: str, now: Timestamp, lease: Duration, limit: int = 1) -> list[Claim]:
        """Lease the due deliveries (next_at <= now, or expired lease), the longest due first, in one transaction."""
        ...

    def claim_rest(self, claim: Claim, now: Timestamp, lease: Duration, limit: int = 99) -> list[Claim]:
        """Lease the other due deliveries of the claim's bundle for the same worker."""
        ...

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Record attempts in one transaction, and return for each whether it was recorded.

        False: a later attempt has fenced off one of its claims; none of them has changed then. DELIVERED and DEAD end a
        delivery; RETRY and DENIED make it due at next_at. The first DELIVERED of a FIRING delivery sets the request's
        delivered_at.
        """
        ...

    def release(self, claims: Sequence[Claim]) -> None:
        """Return leased deliveries that were not attempted to the queue, as if they had not been claimed."""
        ...

    def next_due(self, destination: str) -> Timestamp | None:
        """Return when the next delivery becomes due (a leased one: when its lease ends); None = the queue is empty."""
        ...

    def pull_forward(self, destination: str, now: Timestamp) -> None:
        """Make all deliveries that wait for a retry due now, because the destination has recovered."""
        ...

    def retry(self, request_id: str, destinations: Collection[str], now: Timestamp) -> int:
        """Make the request's deliveries to `destinations` that wait for a retry due now, and count them.

        Raises UnknownRequestError.
        """
        ...

    def redrive(self, request_id: str, destination: str | None, now: Timestamp) -> int:
        """Queue dead deliveries again, with their attempts kept, and count them. Raises UnknownRequestError."""
        ...

    def discardable(self, destinations: Collection[str], now: Timestamp, limit: int) -> list[DeliveryRecord]:
        """Return the deliveries to these destinations that are dead, or wait and are not attempted now, oldest first.

        Those that were discarded already are left out.
        """
        ...

    def depths(self) -> Mapping[str, QueueDepth]:
        """Return the queue size of each destination that has deliveries which are neither delivered nor pruned."""
        ...

    def breaker(self, destination: str) -> Breaker:
        """Return the destination's circuit breaker."""
        ...

    def save_breaker(self, breaker: Breaker) -> None:
        """Save a circuit breaker."""
        ...
