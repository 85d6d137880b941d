"""Interfaces of the store, and its records; one transaction per tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from bridge.domain.alert import AlertRow
from bridge.domain.model import ModelKey, PipelineKey
from bridge.domain.request import Decision, Episode, Outcome, RecoveryVerdict, RequestRecord, RequestState
from bridge.domain.times import Duration, Timestamp
from bridge.ports.runs import RunLedger
from bridge.ports.sinks import Delivery, Kind, Notification


@dataclass(frozen=True, slots=True)
class StateChunk:
    """Serialised strategy state of one rule.

    slot: last slot that the state includes.
    models: the models that `data` covers, in order; none = delete the chunk.
    data: opaque bytes.
    """

    rule: str
    fingerprint: str
    slot: Timestamp
    models: tuple[ModelKey, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Sighting:
    """Model that a signal has reported.

    first_seen: 0 = delete the row.
    missing_since: 0 = still reported.
    """

    group: str
    signal: str
    model: ModelKey
    first_seen: Timestamp
    missing_since: Timestamp = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """Pause of all requests until `until`, created by an operator.

    project, pipeline: scope, "" = all.
    until: end of the pause; in the past = resumed.
    who: name of the person.
    """

    project: str
    pipeline: str
    until: Timestamp
    who: str
    at: Timestamp
    note: str = ""

    def covers(self, owner: PipelineKey, slot: Timestamp) -> bool:
        """Return whether the pause applies to the pipeline at `slot`."""
        return self.until > slot and self.project in {"", owner.project} and self.pipeline in {"", owner.pipeline}


@dataclass(frozen=True, slots=True)
class NewDelivery:
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


@dataclass(frozen=True, slots=True)
class TickChanges:
    """All changes of one evaluation of a group, committed in one transaction or not at all.

    group: "" = an action of an operator, outside the slots; no slot is recorded.
    alerts: rows to upsert; a blank one deletes its row.
    episodes, requests: rows to upsert by (model, started_at) and by id.
    deliveries: inserted unless (request_id, destination, kind) exists.
    state: chunks to upsert; one without models deletes its row.
    sightings: rows to upsert; `first_seen` 0 deletes the row.
    at: wall-clock instant of the commit, at which queued deliveries become due.
    """

    group: str
    slot: Timestamp
    alerts: Sequence[AlertRow] = ()
    episodes: Sequence[Episode] = ()
    requests: Sequence[RequestRecord] = ()
    deliveries: Sequence[NewDelivery] = ()
    decisions: Sequence[Decision] = ()
    state: Sequence[StateChunk] = ()
    sightings: Sequence[Sighting] = ()
    at: Timestamp = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Stored state from which a starting bridge continues.

    slots: group -> last committed slot.
    episodes: open ones, and those that ended since the `since` of load().
    requests: non-terminal ones, those of the loaded episodes, successful ones without a recovery verdict, and the
        latest of every pipeline.
    sent: when requests were sent, by pipeline, since `sent_since`.
    """

    slots: Mapping[str, Timestamp] = field(default_factory=lambda: MappingProxyType({}))
    alerts: Sequence[AlertRow] = ()
    episodes: Sequence[Episode] = ()
    requests: Sequence[RequestRecord] = ()
    state: Sequence[StateChunk] = ()
    sightings: Sequence[Sighting] = ()
    sent: Sequence[tuple[PipelineKey, Timestamp]] = ()
    pauses: Sequence[Pause] = ()


class TickStore(Protocol):
    """Engine side of the store. Raises StoreError; StoreUncertainError if a write may have happened."""

    @property
    def doubts(self) -> int:
        """Number of times the content became uncertain; state loaded before the last one may be wrong."""
        ...

    def load(self, since: Timestamp, sent_since: Timestamp = 0) -> Snapshot:
        """Return the state from which a start continues.

        since: episodes that ended after it are included.
        sent_since: start of the sending times.
        """
        ...

    def commit(self, changes: TickChanges) -> None:
        """Commit all changes, or none."""
        ...

    def save_pause(self, pause: Pause) -> None:
        """Save a pause; one with an `until` in the past ends it."""
        ...


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

    def retry(self, request_id: str, now: Timestamp) -> int:
        """Make the request's deliveries that wait for a retry due now, and count them. Raises UnknownRequestError."""
        ...

    def redrive(self, request_id: str, destination: str | None, now: Timestamp) -> int:
        """Queue dead deliveries again, with their attempts kept, and count them. Raises UnknownRequestError."""
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


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Filter of requests; an empty field matches any. The newest come first.

    limit: maximum number of results.
    after: id of the last request of the previous page; an unknown id gives an empty page.
    """

    states: tuple[RequestState, ...] = ()
    project: str = ""
    pipeline: str = ""
    version: str = ""
    limit: int = 100
    after: str = ""


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Filter of decisions; an empty field or 0 matches any. The newest come first.

    since, until: slots, both inclusive.
    before: id of the last decision of the previous page; only smaller ids match.
    limit: maximum number of results.
    """

    model: ModelKey | None = None
    rule: str = ""
    outcomes: tuple[Outcome, ...] = ()
    since: Timestamp = 0
    until: Timestamp = 0
    before: int = 0
    limit: int = 100

    def fits(self, item: Decision) -> bool:
        """Return whether a decision matches, apart from the limit."""
        named = self.model in {None, item.model} and self.rule in {"", item.rule}
        timely = self.since <= item.slot and (not self.until or item.slot <= self.until)
        return (
            named
            and timely
            and (not self.outcomes or item.outcome in self.outcomes)
            and (not self.before or item.id < self.before)
        )


class History(Protocol):
    """Read side of the store: requests, decisions, episodes, deliveries. Raises StoreError."""

    def request(self, request_id: str) -> RequestRecord | None:
        """Return one request, or None if the id is unknown."""
        ...

    def requests_by_id(self, ids: Sequence[str]) -> list[RequestRecord]:
        """Return the requests with these ids, in any order; unknown ids are left out."""
        ...

    def requests(self, which: RequestFilter) -> list[RequestRecord]:
        """Return the requests that match the filter."""
        ...

    def episodes(self, model: ModelKey, limit: int = 20) -> list[Episode]:
        """Return the episodes of one model, the newest first, open ones included."""
        ...

    def save_request(self, record: RequestRecord) -> None:
        """Update a request outside a tick: after a status report or an action of an operator."""
        ...

    def deliveries(self, request_id: str) -> list[DeliveryRecord]:
        """Return the deliveries of a request."""
        ...

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        """Return the deliveries that are queued, retried or dead, the oldest first."""
        ...

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        """Return the number of recovery verdicts of each kind, by rule."""
        ...

    def decisions(self, which: DecisionFilter) -> list[Decision]:
        """Return the decisions that match the filter."""
        ...

    def prune(self, before: Timestamp) -> int:
        """Delete old terminal requests, ended episodes, ended deliveries and decisions, and return the number of rows.

        Open episodes and requests are kept, and so is the latest request of a pipeline, on which its cooldown depends.

        before: instant before which rows are old.
        """
        ...


class Store(TickStore, Outbox, History, RunLedger, Protocol):
    """Complete store: all sides of one database."""

    def check(self) -> None:
        """Raise StoreError unless this is the opened store and writable; StoreBusyError if another process has it."""
        ...

    def close(self) -> None:
        """Close the store."""
        ...
