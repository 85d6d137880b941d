"""The store's twin in memory: for tests, backtests and embedding. The same contract, gone with the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from bridge.domain.alert import AlertRow
from bridge.domain.errors import UnknownRequest
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, RequestRecord, RequestState, Verdict
from bridge.domain.times import Duration, Timestamp
from bridge.ports import (
    Breaker,
    Claim,
    DecisionFilter,
    Delivery,
    DeliveryRecord,
    DeliveryState,
    Kind,
    NewDelivery,
    Parcel,
    Pause,
    QueueDepth,
    RequestFilter,
    Result,
    Sighting,
    Snapshot,
    StateChunk,
    TickChanges,
)

_OPEN = frozenset({DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.RETRY})
ANSWER_KEPT = 4096


@dataclass(slots=True)
class _Row:
    """A delivery: what people see of it, and who leases it."""

    record: DeliveryRecord
    worker: str = ""
    bundle: str = ""


class MemoryStore:
    """All sides of the store in dictionaries, under one lock."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._slots: dict[str, Timestamp] = {}
        self._alerts: dict[tuple[str, str, ModelKey], AlertRow] = {}
        self._episodes: dict[tuple[ModelKey, Timestamp], Episode] = {}
        self._requests: dict[str, RequestRecord] = {}
        self._order: dict[str, int] = {}
        self._rows: dict[int, _Row] = {}
        self._keys: dict[tuple[str, str, Kind], int] = {}
        self._decisions: list[Decision] = []
        self._decided = 0
        self._breakers: dict[str, Breaker] = {}
        self._chunks: dict[tuple[str, str], StateChunk] = {}
        self._sightings: dict[tuple[str, str, ModelKey], Sighting] = {}
        self._pauses: dict[tuple[str, str], Pause] = {}

    def close(self) -> None:
        """Nothing to let go of."""

    # ------------------------------------------------------------ ticks

    def load(self, since: Timestamp, sent_since: Timestamp = 0) -> Snapshot:
        """As ports.TickStore."""
        with self._lock:
            episodes = [item for item in self._episodes.values() if not item.ended_at or item.ended_at >= since]
            keys = {(item.model, item.started_at) for item in episodes}
            latest = self._latest()
            wanted = [
                record for id_, record in self._requests.items()
                if not record.state.terminal or id_ in latest or _unjudged(record)
                or (record.request.model, record.request.episode_start) in keys
            ]  # fmt: skip
            sent = sorted(
                (record.sent_at, self._order[id_], record.owner) for id_, record in self._requests.items()
                if record.sent_at and record.sent_at >= sent_since
            )  # fmt: skip
            return Snapshot(
                dict(self._slots), list(self._alerts.values()), episodes, wanted, list(self._chunks.values()),
                list(self._sightings.values()), [(owner, at) for at, _, owner in sent], list(self._pauses.values()),
            )  # fmt: skip

    def _latest(self) -> set[str]:
        """Of every pipeline the request that was sent last, and the sent one that ended last."""
        sent: dict[object, RequestRecord] = {}
        ended: dict[object, RequestRecord] = {}
        for record in self._requests.values() if self._requests else ():
            if record.sent_at:
                first, second = sent.setdefault(record.owner, record), ended.setdefault(record.owner, record)
                sent[record.owner] = record if record.sent_at >= first.sent_at else first
                ended[record.owner] = record if record.ended_at >= second.ended_at else second
        return {record.id for record in (*sent.values(), *ended.values())}

    def commit(self, changes: TickChanges) -> None:
        """As ports.TickStore."""
        with self._lock:
            if changes.group:
                self._slots[changes.group] = changes.slot
            for row in changes.alerts:
                key = (row.rule, row.fingerprint, row.model)
                if row.blank:
                    self._alerts.pop(key, None)
                else:
                    self._alerts[key] = row
            for episode in changes.episodes:
                self._episodes[episode.model, episode.started_at] = episode
            for record in changes.requests:
                self.save_request(record)
            for new in changes.deliveries:
                self._queue(new, changes.at)
            for decision in changes.decisions:
                self._decided += 1
                self._decisions.append(replace(decision, id=self._decided))
            self._remember(changes)

    def _remember(self, changes: TickChanges) -> None:
        """What strategies remember, and which models are expected."""
        for chunk in changes.state:
            self._chunks.pop((chunk.rule, chunk.fingerprint), None)
            if chunk.models:
                self._chunks[chunk.rule, chunk.fingerprint] = chunk
        for sighting in changes.sightings:
            seen = (sighting.group, sighting.signal, sighting.model)
            self._sightings.pop(seen, None)
            if sighting.first_seen:
                self._sightings[seen] = sighting

    def save_pause(self, pause: Pause) -> None:
        """As ports.TickStore."""
        with self._lock:
            self._pauses[pause.project, pause.pipeline] = pause
            self._pauses = {scope: item for scope, item in self._pauses.items() if item.until > pause.at}

    def _queue(self, new: NewDelivery, at: Timestamp) -> None:
        key = (new.request_id, new.destination, new.kind)
        if key not in self._keys:
            id_ = self._keys[key] = len(self._keys) + 1
            queued = DeliveryRecord(id_, *key, DeliveryState.QUEUED, 0, at, max(at, new.due), at)
            self._rows[id_] = _Row(queued, bundle=new.bundle if at < new.due else "")

    def claim_rest(self, claim: Claim, now: Timestamp, lease: Duration) -> list[Claim]:
        """As ports.Outbox."""
        with self._lock:
            rest = [
                row for row in self._waiting(claim.destination)
                if row.bundle == claim.bundle and row.record.id != claim.id and row.record.next_at <= now
            ]  # fmt: skip
            rest.sort(key=lambda row: (row.record.queued_at, row.record.id))
            return [self._lease(row, claim.worker, now, lease) for row in rest[:99]]

    def settle_bundle(
        self, claims: Sequence[Claim], delivery: Delivery, now: Timestamp, next_at: Timestamp, *, apart: bool
    ) -> bool:
        """As ports.Outbox."""
        with self._lock:
            if not all(self._holds(claim) for claim in claims):
                return False
            for claim in claims:
                self.settle(claim, delivery, now, next_at)
                self._rows[claim.id].bundle = "" if apart else claim.bundle
            return True

    def _holds(self, claim: Claim) -> bool:
        row = self._rows.get(claim.id)
        return (
            row is not None
            and row.record.state is DeliveryState.LEASED
            and ((row.worker, row.record.attempts) == (claim.worker, claim.attempt))
        )

    # ------------------------------------------------------------ outbox

    def claim(self, destination: str, worker: str, now: Timestamp, lease: Duration, limit: int = 1) -> list[Claim]:
        """As ports.Outbox."""
        with self._lock:
            due = [row for row in self._waiting(destination) if row.record.next_at <= now and not self._must_wait(row)]
            due.sort(key=lambda row: (row.record.queued_at, row.record.id))
            return [self._lease(row, worker, now, lease) for row in due[:limit]]

    def _waiting(self, destination: str) -> Iterator[_Row]:
        return (
            row for row in self._rows.values()
            if row.record.destination == destination and row.record.state in _OPEN
        )  # fmt: skip

    def _must_wait(self, row: _Row) -> bool:
        """A RESOLVED delivery comes after the FIRING one; it is dropped when that one died."""
        record = row.record
        if record.kind is Kind.FIRING:
            return False
        first = self._rows.get(self._keys.get((record.request_id, record.destination, Kind.FIRING), 0))
        return first is not None and first.record.state in _OPEN

    def _lease(self, row: _Row, worker: str, now: Timestamp, lease: Duration) -> Claim:
        attempt, ends = row.record.attempts + 1, now + lease
        row.record = replace(row.record, state=DeliveryState.LEASED, attempts=attempt, updated_at=now, next_at=ends)
        row.worker, record = worker, row.record
        parcel = self._parcel(record)
        return Claim(record.id, record.destination, parcel, worker, record.attempts, record.queued_at, ends, row.bundle)

    def _parcel(self, record: DeliveryRecord) -> Parcel:
        request = self._requests[record.request_id].request
        episode = self._episodes.get((request.model, request.episode_start))
        ends = episode.ended_at if episode is not None and record.kind is Kind.RESOLVED else 0
        return Parcel(request, record.kind, request.episode_start, ends)

    def settle(self, claim: Claim, delivery: Delivery, now: Timestamp, next_at: Timestamp) -> bool:
        """As ports.Outbox."""
        with self._lock:
            if not self._holds(claim):
                return False
            row = self._rows[claim.id]
            state = {Result.DELIVERED: DeliveryState.DELIVERED, Result.DEAD: DeliveryState.DEAD}.get(
                delivery.result, DeliveryState.RETRY
            )
            row.record = replace(
                row.record, state=state, next_at=next_at, updated_at=now, reason=delivery.reason,
                status=delivery.status, answer=delivery.answer[:ANSWER_KEPT],
            )  # fmt: skip
            if row.record.kind is Kind.FIRING:
                self._after_firing(row.record, delivery, now)
            return True

    def _after_firing(self, record: DeliveryRecord, delivery: Delivery, now: Timestamp) -> None:
        if record.state is DeliveryState.DEAD:
            self._drop_resolved(record, now)
        if record.state is DeliveryState.DELIVERED:
            self._requests[record.request_id] = delivered(self._requests[record.request_id], delivery, now)

    def _drop_resolved(self, record: DeliveryRecord, now: Timestamp) -> None:
        """The receiver never heard of the request: its end is no news."""
        row = self._rows.get(self._keys.get((record.request_id, record.destination, Kind.RESOLVED), 0))
        if row is not None and row.record.state in _OPEN:
            row.record = replace(row.record, state=DeliveryState.DEAD, updated_at=now, reason="firing_dead")

    def next_due(self, destination: str) -> Timestamp | None:
        """As ports.Outbox."""
        with self._lock:
            return min(
                (row.record.next_at for row in self._waiting(destination) if not self._must_wait(row)), default=None
            )

    def pull_forward(self, destination: str, now: Timestamp) -> None:
        """As ports.Outbox."""
        with self._lock:
            for row in self._waiting(destination):
                if row.record.state is not DeliveryState.LEASED and row.record.next_at > now:
                    row.record = replace(row.record, next_at=now)

    def retry(self, request_id: str, now: Timestamp) -> int:
        """As ports.Outbox."""
        with self._lock:
            waits = [row for row in self._of(request_id, DeliveryState.RETRY) if row.record.next_at > now]
            for row in waits:
                row.record = replace(row.record, next_at=now)
            return len(waits)

    def _of(self, request_id: str, state: DeliveryState) -> list[_Row]:
        if request_id not in self._requests:
            raise UnknownRequest(f"there is no request {request_id!r}")
        rows = self._rows.values()
        return [row for row in rows if row.record.request_id == request_id and row.record.state is state]

    def redrive(self, request_id: str, destination: str | None, now: Timestamp) -> int:
        """As ports.Outbox."""
        with self._lock:
            dead = [
                row for row in self._of(request_id, DeliveryState.DEAD)
                if destination in {None, row.record.destination}
            ]  # fmt: skip
            for row in dead:
                row.record = replace(row.record, state=DeliveryState.QUEUED, next_at=now, queued_at=now, updated_at=now)
            return len(dead)

    def depths(self) -> Mapping[str, QueueDepth]:
        """As ports.Outbox."""
        with self._lock:
            depths: dict[str, QueueDepth] = {}
            for row in self._rows.values():
                record, known = row.record, depths.get(row.record.destination, QueueDepth(0, 0, 0))
                if record.state in _OPEN:
                    oldest = min(known.oldest_at or record.queued_at, record.queued_at)
                    known = QueueDepth(known.pending + 1, oldest, known.dead)
                elif record.state is DeliveryState.DEAD:
                    known = QueueDepth(known.pending, known.oldest_at, known.dead + 1)
                depths[record.destination] = known
            return depths

    def breaker(self, destination: str) -> Breaker:
        with self._lock:
            return self._breakers.get(destination, Breaker(destination))

    def save_breaker(self, breaker: Breaker) -> None:
        with self._lock:
            self._breakers[breaker.destination] = breaker

    # ------------------------------------------------------------ history

    def request(self, request_id: str) -> RequestRecord | None:
        with self._lock:
            return self._requests.get(request_id)

    def requests(self, which: RequestFilter) -> list[RequestRecord]:
        """As ports.History."""
        with self._lock:
            newest = sorted(
                self._requests.values(),
                key=lambda record: (record.request.triggered_at, self._order[record.id]),
                reverse=True,
            )
        if which.after:
            place = next((at for at, record in enumerate(newest) if record.id == which.after), len(newest))
            newest = newest[place + 1 :]
        return list(islice((record for record in newest if _matches(record, which)), which.limit))

    def episodes(self, model: ModelKey, limit: int = 20) -> list[Episode]:
        """As ports.History."""
        with self._lock:
            found = [episode for key, episode in self._episodes.items() if key[0] == model]
        return sorted(found, key=lambda episode: -episode.started_at)[:limit]

    def save_request(self, record: RequestRecord) -> None:
        """As ports.History; what a delivery recorded meanwhile is kept."""
        with self._lock:
            known = self._requests.get(record.id)
            self._order.setdefault(record.id, len(self._order))
            self._requests[record.id] = record if known is None else merged(known, record)

    def verdicts(self) -> Mapping[str, Mapping[Verdict, int]]:
        """As ports.History."""
        found: dict[str, dict[Verdict, int]] = {}
        with self._lock:
            for record in self._requests.values():
                if record.verdict is not None:
                    counts = found.setdefault(record.request.rule, {})
                    counts[record.verdict] = counts.get(record.verdict, 0) + 1
        return found

    def deliveries(self, request_id: str) -> list[DeliveryRecord]:
        with self._lock:
            return [row.record for row in self._rows.values() if row.record.request_id == request_id]

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        """As ports.History."""
        with self._lock:
            records = [row.record for row in self._rows.values() if row.record.state is not DeliveryState.DELIVERED]
        return sorted(records, key=lambda record: (record.queued_at, record.id))[:limit]

    def decisions(self, which: DecisionFilter) -> list[Decision]:
        """As ports.History."""
        with self._lock:
            return list(islice(filter(which.fits, reversed(self._decisions)), which.limit))

    def prune(self, before: Timestamp) -> int:
        """As ports.History."""
        with self._lock:
            size = self._size()
            latest = self._latest()
            self._decisions = [item for item in self._decisions if item.slot >= before]
            open_rows = {row.record.request_id for row in self._rows.values() if row.record.state in _OPEN}
            gone = {
                id_ for id_, record in self._requests.items()
                if record.state.terminal and 0 < record.ended_at < before and id_ not in latest and id_ not in open_rows
            }  # fmt: skip
            self._forget(gone)
            kept = {(item.request.model, item.request.episode_start) for item in self._requests.values()}
            self._episodes = {
                key: item for key, item in self._episodes.items()
                if not item.ended_at or item.ended_at >= before or key in kept
            }  # fmt: skip
            return size - self._size()

    def _forget(self, gone: set[str]) -> None:
        self._requests = {id_: record for id_, record in self._requests.items() if id_ not in gone}
        self._rows = {id_: row for id_, row in self._rows.items() if row.record.request_id not in gone}

    def _size(self) -> int:
        return len(self._decisions) + len(self._requests) + len(self._rows) + len(self._episodes)


def _unjudged(record: RequestRecord) -> bool:
    return record.state is RequestState.SUCCEEDED and record.verdict is None


def delivered(record: RequestRecord, delivery: Delivery, now: Timestamp) -> RequestRecord:
    """A request after a receiver took it; a reference says that a coordinator did."""
    took = bool(delivery.reference) and record.state is RequestState.REQUESTED
    return replace(
        record,
        state=RequestState.ACCEPTED if took else record.state,
        delivered_at=record.delivered_at or now,
        reference=record.reference or delivery.reference,
        updated_at=now,
    )


def merged(known: RequestRecord, new: RequestRecord) -> RequestRecord:
    """`new`, with what deliveries recorded in the meantime: it may have been made from an older reading."""
    overtaken = new.state is RequestState.REQUESTED and known.state.in_flight
    return replace(
        new,
        state=known.state if overtaken else new.state,
        delivered_at=known.delivered_at or new.delivered_at,
        reference=new.reference or known.reference,
    )


def _matches(record: RequestRecord, which: RequestFilter) -> bool:
    model = record.request.model
    return (
        (not which.states or record.state in which.states)
        and which.project in {"", model.project}
        and which.pipeline in {"", model.pipeline}
        and which.version in {"", model.version}
    )
