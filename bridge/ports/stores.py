"""What is kept, in one transaction per tick."""

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
from bridge.ports.sinks import Delivery, Kind, Notification


@dataclass(frozen=True, slots=True)
class StateChunk:
    """Serialised strategy state of one rule: opaque bytes, with the models it covers in order; none: to be dropped."""

    rule: str
    fingerprint: str
    slot: Timestamp
    models: tuple[ModelKey, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Sighting:
    """A model that a signal has reported. missing_since 0 = it still does; first_seen 0 = to be forgotten."""

    group: str
    signal: str
    model: ModelKey
    first_seen: Timestamp
    missing_since: Timestamp = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody wants no request to be sent before `until`. project, pipeline: of which; "" = of any."""

    project: str
    pipeline: str
    until: Timestamp
    who: str
    at: Timestamp
    note: str = ""

    def covers(self, owner: PipelineKey, slot: Timestamp) -> bool:
        return self.until > slot and self.project in {"", owner.project} and self.pipeline in {"", owner.pipeline}


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A parcel to queue for a destination ("receiver/integration/index").

    bundle: what it is sent together with, "" = nothing: a JSON object with the window's begin (`at`) and the group's
    `labels`. due: when the bundle is whole, 0 = at once; one that is committed later goes alone.
    """

    request_id: str
    destination: str
    kind: Kind
    bundle: str = ""
    due: Timestamp = 0


@dataclass(frozen=True, slots=True)
class TickChanges:
    """All that one evaluation of a group changed; committed in one transaction or not at all.

    group "": what a person did, outside the slots; no slot is noted.

    alerts: rows to upsert; a blank one deletes its row. sightings: rows to upsert; one that was never seen deletes its
    row. episodes, requests: upserts by (model, started_at), id.
    deliveries: inserted unless (request_id, destination, kind) is there already.
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
    at: Timestamp = 0  # wall-clock instant of the commit: when queued deliveries become due


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a starting bridge continues from.

    slots: group -> last committed slot. episodes: the open ones, and those that ended within `recent` of load().
    requests: those that are not terminal, those of the loaded episodes, those that succeeded and are not judged yet,
    and the latest of every pipeline. sent: when each pipeline was asked to be retrained,, since `sent_since`.
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
    """The engine's side of the store. Raises StoreError; StoreUncertainError when a write may have happened."""

    @property
    def doubts(self) -> int:
        """How often it was not known what the store holds, by any side of it: what was loaded before may be wrong."""
        ...

    def load(self, since: Timestamp, sent_since: Timestamp = 0) -> Snapshot:
        """What a start continues from; `since`: episodes that ended after it are included."""
        ...

    def commit(self, changes: TickChanges) -> None: ...

    def save_pause(self, pause: Pause) -> None:
        """Pause, or with an `until` that is over: go on."""
        ...


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    QUEUED = "queued"
    LEASED = "leased"
    RETRY = "retry"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased delivery. `attempt` counts from 1 and fences: settling with an older one changes nothing."""

    id: int
    destination: str
    notification: Notification
    worker: str
    attempt: int
    queued_at: Timestamp
    lease_until: Timestamp
    bundle: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery as shown to people."""

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
    """The persisted circuit breaker of a destination. open_until 0 = closed; paused_until: Retry-After was asked."""

    destination: str
    failures: int = 0
    open_until: Timestamp = 0
    paused_until: Timestamp = 0


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How much waits for a destination. oldest_at: queued_at of the oldest that is neither delivered nor dead, or 0."""

    pending: int
    oldest_at: Timestamp
    dead: int


class Outbox(Protocol):
    """The delivery side of the store: per-destination queues with leases. Raises StoreError.

    A delivery of kind RESOLVED is never claimed before the FIRING one of the same request and destination ended
    (delivered or dead).
    """

    def claim(self, destination: str, worker: str, now: Timestamp, lease: Duration, limit: int = 1) -> list[Claim]:
        """Lease the deliveries that are due (next_at <= now, or whose lease ran out), oldest first."""
        ...

    def claim_rest(self, claim: Claim, now: Timestamp, lease: Duration) -> list[Claim]:
        """Lease the other due deliveries of the claim's bundle, for the same worker; at most 99."""
        ...

    def settle_bundle(
        self, claims: Sequence[Claim], delivery: Delivery, now: Timestamp, next_at: Timestamp, *, apart: bool
    ) -> bool:
        """As `settle`, for all of them or none. apart: from now on each goes alone."""
        ...

    def settle(self, claim: Claim, delivery: Delivery, now: Timestamp, next_at: Timestamp) -> bool:
        """Record an attempt: DELIVERED and DEAD end it, RETRY and DENIED make it due at next_at. False: fenced off.

        A FIRING delivery that is DELIVERED sets the request's delivered_at, when it is the first.
        """
        ...

    def next_due(self, destination: str) -> Timestamp | None:
        """When the next delivery becomes due (a leased one: when its lease ends); None: nothing waits."""
        ...

    def pull_forward(self, destination: str, now: Timestamp) -> None:
        """Make everything that waits for a retry due now: the destination is back."""
        ...

    def retry(self, request_id: str, now: Timestamp) -> int:
        """What waits for a retry is due now, of all destinations; how many. UnknownRequestError as with redrive."""
        ...

    def redrive(self, request_id: str, destination: str | None, now: Timestamp) -> int:
        """dead -> queued with attempts kept; how many. UnknownRequestError when there is no such request."""
        ...

    def depths(self) -> Mapping[str, QueueDepth]: ...

    def breaker(self, destination: str) -> Breaker: ...

    def save_breaker(self, breaker: Breaker) -> None: ...


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests to list; empty = any. Newest first, `limit` of them.

    after: id of the request where a list ended, to go on behind it; of one that nobody knows there is nothing behind.
    """

    states: tuple[RequestState, ...] = ()
    project: str = ""
    pipeline: str = ""
    version: str = ""
    limit: int = 100
    after: str = ""


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions to list; empty or 0 = any. Newest first, `limit` of them.

    since, until: of slots, both included. before: only those whose id is smaller, to go on where a list ended.
    """

    model: ModelKey | None = None
    rule: str = ""
    outcomes: tuple[Outcome, ...] = ()
    since: Timestamp = 0
    until: Timestamp = 0
    before: int = 0
    limit: int = 100

    def fits(self, item: Decision) -> bool:
        """Whether a decision is one of them, but for the limit."""
        named = self.model in {None, item.model} and self.rule in {"", item.rule}
        timely = self.since <= item.slot and (not self.until or item.slot <= self.until)
        return (
            named
            and timely
            and (not self.outcomes or item.outcome in self.outcomes)
            and (not self.before or item.id < self.before)
        )


class History(Protocol):
    """What is asked of the past. Raises StoreError."""

    def request(self, request_id: str) -> RequestRecord | None: ...

    def requests(self, which: RequestFilter) -> list[RequestRecord]: ...

    def episodes(self, model: ModelKey, limit: int = 20) -> list[Episode]:
        """Of one model, the newest first, open ones included."""
        ...

    def save_request(self, record: RequestRecord) -> None:
        """Update a request outside a tick (a status report, a person's command)."""
        ...

    def deliveries(self, request_id: str) -> list[DeliveryRecord]: ...

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        """Neither delivered nor dead, and the dead; oldest first."""
        ...

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        """By rule, how many retrainings that it led to were judged how."""
        ...

    def decisions(self, which: DecisionFilter) -> list[Decision]: ...

    def prune(self, before: Timestamp) -> int:
        """Drop terminal requests, ended episodes, ended deliveries and decisions older than `before`; how many rows.

        Never: anything open, or the latest request of a pipeline (cooldown counts from it).
        """
        ...


class Store(TickStore, Outbox, History, Protocol):
    """All sides of one store."""

    def check(self) -> None:
        """Raise StoreError unless it is the store that was opened and can be written to."""
        ...

    def close(self) -> None: ...
