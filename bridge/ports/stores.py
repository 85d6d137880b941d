"""Interfaces of the store, and its records; one transaction per tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import msgspec

from bridge.domain.alert import AlertRow
from bridge.domain.model import ModelKey, PipelineKey
from bridge.domain.request import Decision, Episode, Feedback, Outcome, RecoveryVerdict, RequestRecord, RequestState
from bridge.domain.times import Timestamp
from bridge.ports.config_log import ConfigLog
from bridge.ports.outbox import DeliveryRecord, NewDelivery, Outbox
from bridge.ports.runs import RunLedger


@dataclass(frozen=True, slots=True)
class StateChunk:
    """Serialised strategy state of one rule.

    slot: last slot that the state includes.
    models: the models that `data` covers, in order.
    data: opaque bytes; b"" = delete the chunk.
    """

    rule: str
    fingerprint: str
    slot: Timestamp
    models: tuple[ModelKey, ...]
    data: bytes


RETIRED: Timestamp = -1  # in Sighting.first_seen


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """Model that a signal has reported.

    first_seen: 0 = delete the row; RETIRED = the model is not expected, even if `discover` lists it.
    missing_since: 0 = still reported; of a retired model: still listed by `discover`.
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
class RunAction:
    """Operator's action on a run.

    cancel: True = cancel it, also if it is not prepared yet; False = allow one more start call of a held run.
    """

    request_id: str
    destination: str
    cancel: bool


@dataclass(frozen=True, slots=True)
class Discard:
    """Operator's decision that a request is not delivered to a destination."""

    request_id: str
    destination: str


@dataclass(frozen=True, slots=True)
class TickChanges:
    """All changes of one evaluation of a group, committed in one transaction or not at all.

    group: "" = an action of an operator, outside the slots; no slot is recorded.
    alerts: rows to upsert; a blank one deletes its row.
    episodes, requests: rows to upsert by (model, started_at) and by id.
    deliveries: inserted unless (request_id, destination, kind) exists.
    state: chunks to upsert; one without data deletes its row.
    sightings: rows to upsert; `first_seen` 0 deletes the row.
    runs: actions on runs; the deliveries of their requests that wait for a retry become due. Nothing is committed, and
        RequestError is raised, if a run that is to be started again is not held any more.
    discards: deliveries that become dead for the reason `discarded`, unless they are delivered or attempted now; a
        request becomes undelivered if every delivery of it is dead then.
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
    runs: Sequence[RunAction] = ()
    discards: Sequence[Discard] = ()
    at: Timestamp = 0

    @property
    def only_slot(self) -> bool:
        """Return whether nothing changes but the slot of a group."""
        rows = (self.alerts, self.episodes, self.requests, self.deliveries, self.decisions, self.state, self.sightings)
        return bool(self.group) and not any(rows) and not self.runs


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


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Filter of requests; an empty field matches any. The newest come first.

    limit: maximum number of results.
    after: id of the last request of the previous page; an unknown id gives an empty page.
    rule: name of the leading rule.
    since, until: when the request was made, both inclusive; 0 = any time.
    """

    states: tuple[RequestState, ...] = ()
    project: str = ""
    pipeline: str = ""
    version: str = ""
    limit: int = 100
    after: str = ""
    rule: str = ""
    since: Timestamp = 0
    until: Timestamp = 0


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Filter of decisions; an empty field or 0 matches any. The newest come first.

    model: exactly this one, also with an empty label; project, pipeline, version: parts of a name.
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
    project: str = ""
    pipeline: str = ""
    version: str = ""

    def parts(self) -> dict[str, str]:
        """Return the parts of a name that must match, by label."""
        parts = {"project": self.project, "pipeline": self.pipeline, "version": self.version}
        return {name: value for name, value in parts.items() if value}

    def fits(self, item: Decision) -> bool:
        """Return whether a decision matches, apart from the limit."""
        labels = item.model.labels() if item.model is not None else {}
        named = (
            self.model in {None, item.model} and self.rule in {"", item.rule} and self.parts().items() <= labels.items()
        )
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

    def sent(self, since: Timestamp) -> Mapping[str, int]:
        """Return the number of requests that were triggered since an instant and sent, by rule."""
        ...

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        """Return the number of recovery verdicts of each kind, by rule."""
        ...

    def feedback(self) -> Mapping[str, Mapping[Feedback, int]]:
        """Return the number of requests with each feedback, by rule."""
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


class Store(TickStore, Outbox, History, RunLedger, ConfigLog, Protocol):
    """Complete store on one database."""

    def check(self) -> None:
        """Raise StoreError unless this is the opened store and writable; StoreBusyError if another process has it."""
        ...

    def close(self) -> None:
        """Close the store."""
        ...
