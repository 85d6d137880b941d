"""Outbox of the in-memory store."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from bridge.domain.errors import UnknownRequestError
from bridge.domain.model import ModelKey
from bridge.domain.request import NOT_TAKEN, Episode, RequestRecord, RequestState
from bridge.domain.times import Duration, Timestamp
from bridge.ports import (
    DISCARDED,
    Breaker,
    Claim,
    Delivery,
    DeliveryRecord,
    DeliveryState,
    Discard,
    Kind,
    NewDelivery,
    Notification,
    QueueDepth,
    Result,
    Settlement,
)

OPEN = frozenset({DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.RETRY})
ANSWER_KEPT = 4096


@dataclass(slots=True)
class _Row:
    """Delivery with its lease holder."""

    record: DeliveryRecord
    worker: str = ""
    bundle: str = ""


class MemoryOutbox:
    """Implementation of ports.Outbox in dictionaries, under one lock; requests and episodes are those of the store."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._episodes: dict[tuple[ModelKey, Timestamp], Episode] = {}
        self._requests: dict[str, RequestRecord] = {}
        self._rows: dict[int, _Row] = {}
        self._keys: dict[tuple[str, str, Kind], int] = {}
        self._breakers: dict[str, Breaker] = {}

    def _queue(self, new: NewDelivery, at: Timestamp) -> None:
        key = (new.request_id, new.destination, new.kind)
        if key not in self._keys:
            id_ = self._keys[key] = next(reversed(self._rows), 0) + 1  # as SQLite numbers rows
            queued = DeliveryRecord(id_, *key, DeliveryState.QUEUED, 0, at, max(at, new.due), at)
            self._rows[id_] = _Row(queued, bundle=new.bundle if at < new.due else "")

    def claim_rest(self, claim: Claim, now: Timestamp, lease: Duration, limit: int = 99) -> list[Claim]:
        """Lease the other due deliveries of the claim's bundle."""
        with self._lock:
            rest = [
                row for row in self._waiting(claim.destination)
                if row.bundle == claim.bundle and row.record.id != claim.id and row.record.next_at <= now
            ]  # fmt: skip
            rest.sort(key=_order)
            return [self._lease(row, claim.worker, now, lease) for row in rest[:limit]]

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Record attempts. False where a lease has ended and another worker holds the delivery."""
        with self._lock:
            return [self._settle(item) for item in settlements]

    def _settle(self, item: Settlement) -> bool:
        if not all(self._holds(claim) for claim in item.claims):
            return False
        for claim in item.claims:
            self._settle_one(self._rows[claim.id], item)
        return True

    def release(self, claims: Sequence[Claim]) -> None:
        """Return leased deliveries that were not attempted to the queue."""
        with self._lock:
            for claim in filter(self._holds, claims):
                row, attempts = self._rows[claim.id], claim.attempt - 1
                state = DeliveryState.RETRY if attempts else DeliveryState.QUEUED
                row.record = replace(row.record, state=state, attempts=attempts, next_at=claim.due_at)

    def _holds(self, claim: Claim) -> bool:
        row = self._rows.get(claim.id)
        return (
            row is not None
            and row.record.state is DeliveryState.LEASED
            and ((row.worker, row.record.attempts) == (claim.worker, claim.attempt))
        )

    def claim(self, destination: str, worker: str, now: Timestamp, lease: Duration, limit: int = 1) -> list[Claim]:
        """Lease the due deliveries of a destination."""
        with self._lock:
            due = [row for row in self._waiting(destination) if row.record.next_at <= now and not self._must_wait(row)]
            due.sort(key=_order)
            return [self._lease(row, worker, now, lease) for row in due[:limit]]

    def _waiting(self, destination: str) -> Iterator[_Row]:
        return (
            row for row in self._rows.values()
            if row.record.destination == destination and row.record.state in OPEN
        )  # fmt: skip

    def _must_wait(self, row: _Row) -> bool:
        """Return whether a RESOLVED delivery must wait for its FIRING one."""
        record = row.record
        if record.kind is Kind.FIRING:
            return False
        first = self._rows.get(self._keys.get((record.request_id, record.destination, Kind.FIRING), 0))
        return first is not None and first.record.state in OPEN

    def _lease(self, row: _Row, worker: str, now: Timestamp, lease: Duration) -> Claim:
        attempt, ends, due_at = row.record.attempts + 1, now + lease, row.record.next_at
        row.record = replace(row.record, state=DeliveryState.LEASED, attempts=attempt, updated_at=now, next_at=ends)
        row.worker, record = worker, row.record
        notification = self._notification(record)
        return Claim(
            record.id, record.destination, notification, worker, record.attempts, record.queued_at, row.bundle, due_at
        )  # fmt: skip

    def _notification(self, record: DeliveryRecord) -> Notification:
        request = self._requests[record.request_id].request
        episode = self._episodes.get((request.model, request.episode_start))
        ends = episode.ended_at if episode is not None and record.kind is Kind.RESOLVED else 0
        return Notification(request, record.kind, request.episode_start, record.queued_at, ends)

    def _settle_one(self, row: _Row, item: Settlement) -> None:
        state = {Result.DELIVERED: DeliveryState.DELIVERED, Result.DEAD: DeliveryState.DEAD}.get(
            item.delivery.result, DeliveryState.RETRY
        )
        row.record = replace(
            row.record, state=state, next_at=item.next_at, updated_at=item.at, reason=item.delivery.reason,
            status=item.delivery.status, answer=item.delivery.answer[:ANSWER_KEPT],
        )  # fmt: skip
        if item.apart:
            row.bundle = ""
        if row.record.kind is Kind.FIRING:
            self._after_firing(row.record, item.delivery, item.at)

    def _after_firing(self, record: DeliveryRecord, delivery: Delivery, now: Timestamp) -> None:
        if record.state is DeliveryState.DEAD:
            self._drop_resolved(record, now)
            self._undelivered(record.request_id, now)
        if record.state is DeliveryState.DELIVERED:
            self._requests[record.request_id] = delivered(self._requests[record.request_id], delivery, now)

    def _undelivered(self, request_id: str, now: Timestamp) -> None:
        """Mark the request as undelivered once every firing delivery is dead."""
        firing = [row.record for row in self._rows.values() if row.record.request_id == request_id]
        known = self._requests[request_id]
        dead = all(record.state is DeliveryState.DEAD for record in firing if record.kind is Kind.FIRING)
        if dead and known.state is RequestState.REQUESTED:
            over = structs.replace(
                known, state=RequestState.UNDELIVERED, updated_at=now, ended_at=now, message=NOT_TAKEN
            )
            self._requests[request_id] = over

    def _drop_resolved(self, record: DeliveryRecord, now: Timestamp) -> None:
        """Mark the resolved delivery as dead: the receiver never got the request."""
        row = self._rows.get(self._keys.get((record.request_id, record.destination, Kind.RESOLVED), 0))
        if row is not None and row.record.state in OPEN:
            row.record = replace(row.record, state=DeliveryState.DEAD, updated_at=now, reason="firing_dead")

    def next_due(self, destination: str) -> Timestamp | None:
        """Return when the next delivery becomes due; None when the queue is empty."""
        with self._lock:
            return min(
                (row.record.next_at for row in self._waiting(destination) if not self._must_wait(row)), default=None
            )

    def pull_forward(self, destination: str, now: Timestamp) -> None:
        """Make every delivery that waits for a retry due now."""
        with self._lock:
            for row in self._waiting(destination):
                if row.record.state is not DeliveryState.LEASED and row.record.next_at > now:
                    row.record = replace(row.record, next_at=now)

    def retry(self, request_id: str, destinations: Collection[str], now: Timestamp) -> int:
        """Make the request's deliveries to `destinations` that wait for a retry due now; return how many.

        Raises UnknownRequestError.
        """
        with self._lock:
            waits = [row for row in self._of(request_id, DeliveryState.RETRY) if row.record.destination in destinations]
            return self._make_due(waits, now)

    @staticmethod
    def _make_due(rows: Iterable[_Row], now: Timestamp) -> int:
        later = [row for row in rows if row.record.next_at > now]
        for row in later:
            row.record = replace(row.record, next_at=now)
        return len(later)

    def _of(self, request_id: str, state: DeliveryState) -> list[_Row]:
        if request_id not in self._requests:
            raise UnknownRequestError(f"there is no request {request_id!r}")
        rows = self._rows.values()
        return [row for row in rows if row.record.request_id == request_id and row.record.state is state]

    def redrive(self, request_id: str, destination: str | None, now: Timestamp) -> int:
        """Queue the request's dead deliveries again; return how many. Raises UnknownRequestError."""
        with self._lock:
            dead = [
                row for row in self._of(request_id, DeliveryState.DEAD)
                if destination in {None, row.record.destination}
            ]  # fmt: skip
            for row in dead:
                row.record = replace(row.record, state=DeliveryState.QUEUED, next_at=now, queued_at=now, updated_at=now)
            known = self._requests[request_id]
            if dead and known.state is RequestState.UNDELIVERED:
                again = structs.replace(known, state=RequestState.REQUESTED, updated_at=now, ended_at=0, message="")
                self._requests[request_id] = again
            return len(dead)

    def discardable(self, destinations: Collection[str], now: Timestamp, limit: int) -> list[DeliveryRecord]:
        """Return the deliveries to these destinations that can be discarded, oldest first."""
        with self._lock:
            records = [
                row.record for row in self._rows.values()
                if row.record.destination in destinations and is_pending(row.record) and _is_idle(row.record, now)
            ]  # fmt: skip
        return sorted(records, key=lambda record: (record.queued_at, record.id))[:limit]

    def discard(self, items: Sequence[Discard], now: Timestamp) -> None:
        """Discard deliveries that are not attempted now."""
        with self._lock:
            wanted = {(item.request_id, item.destination) for item in items}
            for row in self._rows.values():
                record = row.record
                if (record.request_id, record.destination) in wanted and is_pending(record) and _is_idle(record, now):
                    row.record = replace(record, state=DeliveryState.DEAD, reason=DISCARDED, updated_at=now)
            for request_id in {item.request_id for item in items} & self._requests.keys():
                self._undelivered(request_id, now)

    def depths(self) -> Mapping[str, QueueDepth]:
        """Return the queue depth of each destination that has open or dead deliveries."""
        with self._lock:
            depths: dict[str, QueueDepth] = {}
            for record in (row.record for row in self._rows.values()):
                known = depths.get(record.destination, QueueDepth(0, 0, 0))
                if record.state in OPEN:
                    oldest = min(known.oldest_at or record.queued_at, record.queued_at)
                    depths[record.destination] = replace(known, pending=known.pending + 1, oldest_at=oldest)
                elif record.state is DeliveryState.DEAD and is_pending(record):
                    depths[record.destination] = replace(known, dead=known.dead + 1)
            return depths

    def breaker(self, destination: str) -> Breaker:
        """Return the stored breaker of a destination, or a closed one."""
        with self._lock:
            return self._breakers.get(destination, Breaker(destination))

    def save_breaker(self, breaker: Breaker) -> None:
        """Store a breaker."""
        with self._lock:
            self._breakers[breaker.destination] = breaker


def is_pending(record: DeliveryRecord) -> bool:
    """Return whether a delivery is neither delivered nor discarded."""
    discarded = record.state is DeliveryState.DEAD and record.reason == DISCARDED
    return record.state is not DeliveryState.DELIVERED and not discarded


def _is_idle(record: DeliveryRecord, now: Timestamp) -> bool:
    """Return whether no worker attempts a delivery now."""
    return record.state is not DeliveryState.LEASED or record.next_at <= now


def _order(row: _Row) -> tuple[Timestamp, Timestamp, int]:
    return row.record.next_at, row.record.queued_at, row.record.id


def delivered(record: RequestRecord, delivery: Delivery, now: Timestamp) -> RequestRecord:
    """Return a request after a receiver accepted it; a reference means that the receiver is a coordinator."""
    accepted = bool(delivery.reference) and record.state is RequestState.REQUESTED
    return structs.replace(
        record,
        state=RequestState.ACCEPTED if accepted else record.state,
        delivered_at=record.delivered_at or now,
        reference=record.reference or delivery.reference,
        updated_at=now,
    )
