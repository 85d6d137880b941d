"""Delivery side of the SQL store: per-destination queues with leases and fenced settlements."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, RowMapping, and_, bindparam, case, func, or_, select, update

from bridge.domain.errors import UnknownRequestError
from bridge.domain.request import NOT_TAKEN, RequestState
from bridge.domain.times import Duration, Timestamp
from bridge.ports import Breaker, Claim, Delivery, DeliveryState, Kind, Notification, QueueDepth, Result
from bridge.store import rows, tables
from bridge.store.base import Side, upsert

OPEN = [state.value for state in (DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.RETRY)]
ANSWER_KEPT = 4096
_table = tables.deliveries


def _waiting() -> ColumnElement[bool]:
    """Return the condition for open deliveries of :destination that are not blocked: RESOLVED waits for FIRING."""
    first = _table.alias("first")
    begun = (
        select(first.c.id)
        .where(
            first.c.request_id == _table.c.request_id,
            first.c.destination == _table.c.destination,
            first.c.kind == Kind.FIRING.value,
            first.c.state.in_(OPEN),
        )
        .exists()
    )
    ready = or_(_table.c.kind == Kind.FIRING.value, ~begun)
    return and_(_table.c.destination == bindparam("destination"), _table.c.state.in_(OPEN), ready)


# Building a statement costs ten times as much as running it: those needed for every attempt are built once.
_DUE = _table.c.next_at <= bindparam("now")
_ANY_DUE = select(_table.c.id).where(_waiting(), _DUE).limit(1)
_CLAIM = (
    select(_table)
    .where(_waiting(), _DUE)
    .order_by(_table.c.queued_at, _table.c.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_LEASE = (
    update(_table)
    .where(_table.c.id == bindparam("which"))
    .values({name: bindparam(f"new_{name}") for name in ("state", "attempts", "worker", "next_at", "updated_at")})
)
_SETTLE = (
    update(_table)
    .where(
        _table.c.id == bindparam("which"),
        _table.c.state == DeliveryState.LEASED.value,
        _table.c.worker == bindparam("holder"),
        _table.c.attempts == bindparam("fence"),
    )
    .values(
        {name: bindparam(f"new_{name}") for name in ("state", "next_at", "updated_at", "reason", "status", "answer")}
    )
)
_NEXT_DUE = select(func.min(_table.c.next_at)).where(_waiting())
_BREAKER = select(tables.breakers).where(tables.breakers.c.destination == bindparam("destination"))
_REQUEST = select(tables.requests).where(tables.requests.c.id == bindparam("which"))


class _OvertakenError(Exception):
    """Settlement of a bundle's delivery by another worker in the meantime."""


def _new(**values: Any) -> dict[str, Any]:
    return {f"new_{name}": value for name, value in values.items()}


class OutboxSide(Side):
    """Implementation of ports.Outbox."""

    _breakers: dict[str, Breaker]

    def claim(self, destination: str, worker: str, now: Timestamp, lease: Duration, limit: int = 1) -> list[Claim]:
        """Lease the due deliveries of a destination; the attempt number counted here fences the settlement."""
        if not self._any_due(destination, now):
            return []
        with self._write() as connection:
            given = {"destination": destination, "now": now, "most": limit}
            due = list(connection.execute(_CLAIM, given).mappings())
            return [self._lease(connection, row, worker, now, lease) for row in due]

    def _any_due(self, destination: str, now: Timestamp) -> bool:
        """Return whether anything is due, without a write lock: most calls find nothing."""
        with self._read() as connection:
            return connection.execute(_ANY_DUE, {"destination": destination, "now": now}).first() is not None

    @staticmethod
    def _lease(connection: Connection, row: RowMapping, worker: str, now: Timestamp, lease: Duration) -> Claim:
        attempt, until = row["attempts"] + 1, now + lease
        leased = _new(state=DeliveryState.LEASED.value, attempts=attempt, worker=worker, next_at=until, updated_at=now)
        connection.execute(_LEASE, {"which": row["id"], **leased})
        notification = _notification(connection, row["request_id"], Kind(row["kind"]))
        return Claim(row["id"], row["destination"], notification, worker, attempt, row["queued_at"], row["bundle"])

    def claim_rest(self, claim: Claim, now: Timestamp, lease: Duration) -> list[Claim]:
        """Lease the other due deliveries of the claim's bundle."""
        same = and_(
            _table.c.destination == claim.destination, _table.c.bundle == claim.bundle, _table.c.id != claim.id,
            _table.c.state.in_(OPEN), _table.c.next_at <= now,
        )  # fmt: skip
        query = select(_table).where(same).order_by(_table.c.queued_at, _table.c.id).limit(99)
        with self._write() as connection:
            rest = list(connection.execute(query.with_for_update(skip_locked=True)).mappings())
            return [self._lease(connection, row, claim.worker, now, lease) for row in rest]

    def settle_bundle(
        self, claims: Sequence[Claim], delivery: Delivery, now: Timestamp, next_at: Timestamp, *, apart: bool
    ) -> bool:
        """Settle all of a bundle in one transaction, or none. apart: dissolve the bundle.

        False when another worker settled one of it.
        """
        with contextlib.suppress(_OvertakenError), self._write() as connection:
            for claim in claims:
                if not self._settle(connection, claim, delivery, now, next_at):
                    raise _OvertakenError
            if apart:
                which = _table.c.id.in_([claim.id for claim in claims])
                connection.execute(update(_table).where(which).values(bundle=""))
            return True
        return False

    def settle(self, claim: Claim, delivery: Delivery, now: Timestamp, next_at: Timestamp) -> bool:
        """Record an attempt. False when the lease has ended and another worker holds the delivery."""
        with self._write() as connection:
            return self._settle(connection, claim, delivery, now, next_at)

    @staticmethod
    def _settle(connection: Connection, claim: Claim, delivery: Delivery, now: Timestamp, next_at: Timestamp) -> bool:
        ends = {Result.DELIVERED: DeliveryState.DELIVERED, Result.DEAD: DeliveryState.DEAD}
        values = _new(
            state=ends.get(delivery.result, DeliveryState.RETRY).value, next_at=next_at, updated_at=now,
            reason=delivery.reason, status=delivery.status, answer=delivery.answer[:ANSWER_KEPT],
        )  # fmt: skip
        fence = {"which": claim.id, "holder": claim.worker, "fence": claim.attempt}
        if connection.execute(_SETTLE, {**fence, **values}).rowcount != 1:
            return False
        if claim.notification.kind is Kind.FIRING:
            _after_firing(connection, claim, delivery, now)
        return True

    def next_due(self, destination: str) -> Timestamp | None:
        """Return when the next delivery becomes due; None when the queue is empty."""
        with self._read() as connection:
            return connection.execute(_NEXT_DUE, {"destination": destination}).scalar()

    def pull_forward(self, destination: str, now: Timestamp) -> None:
        """Make every delivery that waits for a retry due now."""
        waits = and_(
            _table.c.destination == destination, _table.c.next_at > now,
            _table.c.state.in_([DeliveryState.QUEUED.value, DeliveryState.RETRY.value]),
        )  # fmt: skip
        with self._write() as connection:
            connection.execute(update(_table).where(waits).values(next_at=now))

    def retry(self, request_id: str, now: Timestamp) -> int:
        """Make the request's deliveries that wait for a retry due now; return how many. Raises UnknownRequestError."""
        waits = and_(
            _table.c.request_id == request_id, _table.c.state == DeliveryState.RETRY.value, _table.c.next_at > now
        )
        with self._write() as connection:
            _check_known(connection, request_id)
            return connection.execute(update(_table).where(waits).values(next_at=now)).rowcount

    def redrive(self, request_id: str, destination: str | None, now: Timestamp) -> int:
        """Queue the request's dead deliveries again; return how many. Raises UnknownRequestError."""
        dead = and_(_table.c.request_id == request_id, _table.c.state == DeliveryState.DEAD.value)
        if destination is not None:
            dead = and_(dead, _table.c.destination == destination)
        again = {"state": DeliveryState.QUEUED.value, "next_at": now, "queued_at": now, "updated_at": now}
        with self._write() as connection:
            _check_known(connection, request_id)
            count = connection.execute(update(_table).where(dead).values(**again)).rowcount
            if count:
                connection.execute(_DRIVEN_AGAIN, {"which": request_id, "now": now})
            return count

    def depths(self) -> Mapping[str, QueueDepth]:
        """Return the queue depth of each destination that has deliveries."""
        is_open, is_dead = _table.c.state.in_(OPEN), _table.c.state == DeliveryState.DEAD.value
        counted = select(
            _table.c.destination,
            func.sum(case((is_open, 1), else_=0)),
            func.min(case((is_open, _table.c.queued_at))),
            func.sum(case((is_dead, 1), else_=0)),
        ).group_by(_table.c.destination)
        with self._read() as connection:
            counts = connection.execute(counted).all()
        return {name: QueueDepth(int(pending), oldest or 0, int(dead)) for name, pending, oldest, dead in counts}

    def breaker(self, destination: str) -> Breaker:
        """Return the stored breaker, or a closed one. Cached: the store has one process, and every attempt needs it."""
        known = self._breakers.get(destination)
        if known is None:
            with self._read() as connection:
                row = connection.execute(_BREAKER, {"destination": destination}).first()
            known = self._breakers[destination] = Breaker(destination) if row is None else Breaker(*row)
        return known

    def save_breaker(self, breaker: Breaker) -> None:
        """Store a breaker, so that it survives a restart."""
        row = {
            "destination": breaker.destination, "failures": breaker.failures,
            "open_until": breaker.open_until, "paused_until": breaker.paused_until,
        }  # fmt: skip
        with self._write() as connection:
            upsert(connection, tables.breakers, ("destination",), [row])
        self._breakers[breaker.destination] = breaker


def _notification(connection: Connection, request_id: str, kind: Kind) -> Notification:
    row = connection.execute(_REQUEST, {"which": request_id}).mappings().one()
    request = rows.request_of(row).request
    ends = 0
    if kind is Kind.RESOLVED:
        episode, model = tables.episodes, request.model
        ended = select(episode.c.ended_at).where(
            episode.c.project == model.project,
            episode.c.pipeline == model.pipeline,
            episode.c.version == model.version,
            episode.c.started_at == request.episode_start,
        )
        ends = connection.execute(ended).scalar() or 0
    return Notification(request, kind, request.episode_start, ends)


def _after_firing(connection: Connection, claim: Claim, delivery: Delivery, now: Timestamp) -> None:
    """Update the request in the settlement's transaction: it was accepted, or this receiver will never get it."""
    if delivery.result is Result.DEAD:
        resolved = and_(
            _table.c.request_id == claim.notification.request.id, _table.c.destination == claim.destination,
            _table.c.kind == Kind.RESOLVED.value, _table.c.state.in_(OPEN),
        )  # fmt: skip
        dead = {"state": DeliveryState.DEAD.value, "updated_at": now, "reason": "firing_dead"}
        connection.execute(update(_table).where(resolved).values(**dead))
        connection.execute(_UNDELIVERED, {"which": claim.notification.request.id, "now": now})
    if delivery.result is Result.DELIVERED:
        accepted = {"which": claim.notification.request.id, "now": now, "their_reference": delivery.reference}
        connection.execute(_ACCEPTED, accepted)


_requests = tables.requests.c
_BY_COORDINATOR = and_(_requests.state == RequestState.REQUESTED.value, bindparam("their_reference") != "")
_ACCEPTED = (
    update(tables.requests)
    .where(_requests.id == bindparam("which"))
    .values(
        state=case((_BY_COORDINATOR, RequestState.ACCEPTED.value), else_=_requests.state),
        delivered_at=case((_requests.delivered_at > 0, _requests.delivered_at), else_=bindparam("now")),
        reference=case((_requests.reference != "", _requests.reference), else_=bindparam("their_reference")),
        updated_at=bindparam("now"),
    )
)


_ALIVE = (
    select(_table.c.id)
    .where(_table.c.request_id == bindparam("which"), _table.c.kind == Kind.FIRING.value)
    .where(_table.c.state != DeliveryState.DEAD.value)
    .exists()
)
_UNDELIVERED = (
    update(tables.requests)
    .where(_requests.id == bindparam("which"), _requests.state == RequestState.REQUESTED.value, ~_ALIVE)
    .values(
        state=RequestState.UNDELIVERED.value, terminal=int(RequestState.UNDELIVERED.terminal),
        updated_at=bindparam("now"), ended_at=bindparam("now"), message=NOT_TAKEN,
    )
)  # fmt: skip
_DRIVEN_AGAIN = (
    update(tables.requests)
    .where(_requests.id == bindparam("which"), _requests.state == RequestState.UNDELIVERED.value)
    .values(state=RequestState.REQUESTED.value, terminal=0, updated_at=bindparam("now"), ended_at=0, message="")
)


def _check_known(connection: Connection, request_id: str) -> None:
    known = select(tables.requests.c.seq).where(tables.requests.c.id == request_id)
    if connection.execute(known).first() is None:
        raise UnknownRequestError(f"there is no request {request_id!r}")
