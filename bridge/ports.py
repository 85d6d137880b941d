"""What the engine needs from the outside, as narrow Protocols, and the frozen records that cross them.

All instants are ints of milliseconds since the epoch (domain/times.py). Implementations: sources/, sinks/, store/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from bridge.domain.alert import AlertRow
from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelKey, PipelineKey
from bridge.domain.request import Decision, Episode, RequestRecord, RequestState, RetrainRequest, Verdict
from bridge.domain.rule import SignalQuery
from bridge.domain.silence import Silence
from bridge.domain.times import Duration, Timestamp

# ---------------------------------------------------------------- sources


class MetricSource(Protocol):
    """Asks a metric store; raises SourceError, never anything else, and never later than its deadline."""

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp) -> EventBatch:
        """The samples of every model at instant `at`, as the batch of `slot`."""
        ...

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """One batch per slot, in order, each as `instant(query, slot, slot - offset)` would give; evenly spaced."""
        ...


@dataclass(frozen=True, slots=True)
class SilenceSnapshot:
    """The silences of all Alertmanagers that answered. fetched_at 0 = none ever did."""

    silences: tuple[Silence, ...] = ()
    fetched_at: Timestamp = 0


class Silences(Protocol):
    """What is known of silences; fetched by a job of its own, so that a tick never waits for it."""

    def snapshot(self) -> SilenceSnapshot: ...


# ---------------------------------------------------------------- sinks


class Kind(StrEnum):
    """What a delivery tells: that a retraining is asked for, or that its episode is over."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One thing to deliver: a request, at the state of its episode. `ends_at` 0 while the episode is open."""

    request: RetrainRequest
    kind: Kind
    starts_at: Timestamp
    ends_at: Timestamp = 0


class Result(StrEnum):
    """What one HTTP attempt came to."""

    DELIVERED = "delivered"
    RETRY = "retry"  # may succeed later: network, deadline, 408, 425, 429, 5xx
    DENIED = "denied"  # 401, 403: the credential is read again at once, then slow retries and an alarm
    DEAD = "dead"  # never: 3xx, other 4xx


@dataclass(frozen=True, slots=True)
class Delivery:
    """The outcome of one attempt.

    reason: closed word for metrics (`ok`, `network`, `timeout`, `http_503`-like classes `http_4xx`/`http_5xx`,
    `redirect`, `rate_limited`, `unauthorized`, `invalid_answer`). answer: the (redacted, capped) answer or error.
    retry_after: ms to wait as the receiver asked, 0 = it did not. reference: the receiver's own name for the request.
    """

    result: Result
    reason: str = "ok"
    status: int = 0
    answer: str = ""
    retry_after: Duration = 0
    reference: str = ""


@runtime_checkable
class BundleSink(Protocol):
    """A destination that takes several requests in one message."""

    def send_bundle(self, parcels: Sequence[Parcel], group: Mapping[str, str], now: Timestamp) -> Delivery:
        """As Sink.send, for all of them at once. group: the labels that they were bundled by."""
        ...


class Sink(Protocol):
    """One destination. One call is one HTTP attempt with a total deadline; never raises, never retries inside."""

    integration: str  # "alertmanager", "webhook", "coordinator", "log"
    sends_resolved: bool  # wants a RESOLVED parcel through the outbox when the episode ends
    reports_status: bool  # a coordinator: says later what became of the request

    def send(self, parcel: Parcel, now: Timestamp) -> Delivery: ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as Alertmanager's API takes it. ends_at: in the future while open, past when resolved."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: Timestamp
    ends_at: Timestamp
    generator_url: str = ""


@runtime_checkable
class AlertSink(Protocol):
    """A destination that must be reminded of what is open: 200 is not delivery there, alerts live in memory only."""

    def post_alerts(self, alerts: Sequence[Alert], now: Timestamp) -> Delivery: ...


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What a coordinator says of a request."""

    request_id: str
    state: RequestState
    at: Timestamp
    message: str = ""
    new_version: str = ""
    reference: str = ""


@runtime_checkable
class StatusSource(Protocol):
    """A coordinator that can be asked. None: it does not know the request, or was not reached."""

    def status(self, request_id: str, now: Timestamp) -> StatusReport | None: ...


# ---------------------------------------------------------------- store


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
    """The engine's side of the store. Raises StoreError."""

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
    parcel: Parcel
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

    def redrive(self, request_id: str, destination: str | None, now: Timestamp) -> int:
        """dead -> queued with attempts kept; how many. UnknownRequest when there is no such request."""
        ...

    def depths(self) -> Mapping[str, QueueDepth]: ...

    def breaker(self, destination: str) -> Breaker: ...

    def save_breaker(self, breaker: Breaker) -> None: ...


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests to list; empty = any. Newest first, `limit` of them after the first `offset`."""

    states: tuple[RequestState, ...] = ()
    project: str = ""
    pipeline: str = ""
    version: str = ""
    limit: int = 100
    offset: int = 0


class History(Protocol):
    """What is asked of the past. Raises StoreError."""

    def request(self, request_id: str) -> RequestRecord | None: ...

    def requests(self, which: RequestFilter) -> list[RequestRecord]: ...

    def save_request(self, record: RequestRecord) -> None:
        """Update a request outside a tick (a status report, a person's command)."""
        ...

    def deliveries(self, request_id: str) -> list[DeliveryRecord]: ...

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        """Neither delivered nor dead, and the dead; oldest first."""
        ...

    def verdicts(self) -> Mapping[str, Mapping[Verdict, int]]:
        """By rule, how many retrainings that it led to were judged how."""
        ...

    def decisions(
        self, *, model: ModelKey | None = None, rule: str = "", since: Timestamp = 0, limit: int = 100
    ) -> list[Decision]:
        """Newest first."""
        ...

    def prune(self, before: Timestamp) -> int:
        """Drop terminal requests, ended episodes, ended deliveries and decisions older than `before`; how many rows.

        Never: anything open, or the latest request of a pipeline (cooldown counts from it).
        """
        ...


class Store(TickStore, Outbox, History, Protocol):
    """All sides of one store."""

    def close(self) -> None: ...


# ---------------------------------------------------------------- reports


@dataclass(frozen=True, slots=True)
class QueryReport:
    """One signal's queries in one slot."""

    name: str
    seconds: float
    elements: int
    skipped: Mapping[str, int]
    error: str = ""  # SourceError.reason
    message: str = ""


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one evaluation of a group did: frozen, handed to telemetry after the commit."""

    group: str
    slot: Timestamp
    seconds: float
    queries: tuple[QueryReport, ...]
    events: Mapping[str, int]
    decisions: Mapping[tuple[str, str], int]  # (rule, outcome) -> count
    missed: int = 0
    caught_up: int = 0
    errors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # rule -> message
    queued: int = 0  # deliveries: requests, and ends of episodes
    verdicts: Mapping[tuple[str, str], int] = field(default_factory=lambda: MappingProxyType({}))  # (rule, verdict)
    told: bool = False  # something is new that only reminders of Alertmanagers tell


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """One HTTP attempt of a delivery."""

    destination: str
    delivery: Delivery
    seconds: float
    dead: bool
    request_id: str
