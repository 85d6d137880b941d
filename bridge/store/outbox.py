"""The delivery side of the SQL store: per-destination queues with leases and fenced settlements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, and_, case, func, literal, or_, select, update

from bridge.domain.errors import UnknownRequest
from bridge.domain.request import RequestState
from bridge.domain.times import Duration, Timestamp
from bridge.ports import Breaker, Claim, Delivery, DeliveryState, Kind, Parcel, QueueDepth, Result
from bridge.store import rows, tables
from bridge.store.base import Side, upsert

OPEN = [state.value for state in (DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.RETRY)]
ANSWER_KEPT = 4096
_table = tables.deliveries


def _waiting(destination: str) -> ColumnElement[bool]:
    """Open deliveries of a destination that wait for no other: the end comes after the beginning."""
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
    return and_(_table.c.destination == destination, _table.c.state.in_(OPEN), ready)


class OutboxSide(Side):
    """ports.Outbox."""

    def claim(self, destination: str, worker: str, now: Timestamp, lease: Duration, limit: int = 1) -> list[Claim]:
        """Lease what is due; the attempt that is counted here fences the settlement."""
        if not self._any_due(destination, now):
            return []
        with self._write() as connection:
            due = (
                select(_table)
                .where(_waiting(destination), _table.c.next_at <= now)
                .order_by(_table.c.queued_at, _table.c.id)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            found = list(connection.execute(due).mappings())
            return [self._lease(connection, row, worker, now, lease) for row in found]

    def _any_due(self, destination: str, now: Timestamp) -> bool:
        """A look that takes no write lock: most calls find nothing."""
        with self._read() as connection:
            due = select(_table.c.id).where(_waiting(destination), _table.c.next_at <= now).limit(1)
            return connection.execute(due).first() is not None

    @staticmethod
    def _lease(connection: Connection, row: RowMapping, worker: str, now: Timestamp, lease: Duration) -> Claim:
        attempt, until = row["attempts"] + 1, now + lease
        connection.execute(
            update(_table).where(_table.c.id == row["id"]).values(
                state=DeliveryState.LEASED.value, attempts=attempt, worker=worker, next_at=until, updated_at=now
            )
        )  # fmt: skip
        parcel = _parcel(connection, row["request_id"], Kind(row["kind"]))
        return Claim(row["id"], row["destination"], parcel, worker, attempt, row["queued_at"], until)

    def settle(self, claim: Claim, delivery: Delivery, now: Timestamp, next_at: Timestamp) -> bool:
        """Record an attempt, unless another one overtook it."""
        ends = {Result.DELIVERED: DeliveryState.DELIVERED, Result.DEAD: DeliveryState.DEAD}
        state = ends.get(delivery.result, DeliveryState.RETRY)
        fence = and_(
            _table.c.id == claim.id, _table.c.state == DeliveryState.LEASED.value,
            _table.c.worker == claim.worker, _table.c.attempts == claim.attempt,
        )  # fmt: skip
        values = {
            "state": state.value, "next_at": next_at, "updated_at": now, "reason": delivery.reason,
            "status": delivery.status, "answer": delivery.answer[:ANSWER_KEPT],
        }  # fmt: skip
        with self._write() as connection:
            if connection.execute(update(_table).where(fence).values(**values)).rowcount != 1:
                return False
            if claim.parcel.kind is Kind.FIRING:
                _after_firing(connection, claim, delivery, now)
        return True

    def next_due(self, destination: str) -> Timestamp | None:
        """When something becomes due."""
        with self._read() as connection:
            return connection.execute(select(func.min(_table.c.next_at)).where(_waiting(destination))).scalar()

    def pull_forward(self, destination: str, now: Timestamp) -> None:
        """Everything that waits for a retry is due now."""
        waits = and_(
            _table.c.destination == destination, _table.c.next_at > now,
            _table.c.state.in_([DeliveryState.QUEUED.value, DeliveryState.RETRY.value]),
        )  # fmt: skip
        with self._write() as connection:
            connection.execute(update(_table).where(waits).values(next_at=now))

    def redrive(self, request_id: str, destination: str | None, now: Timestamp) -> int:
        """dead -> queued."""
        dead = and_(_table.c.request_id == request_id, _table.c.state == DeliveryState.DEAD.value)
        if destination is not None:
            dead = and_(dead, _table.c.destination == destination)
        again = {"state": DeliveryState.QUEUED.value, "next_at": now, "queued_at": now, "updated_at": now}
        with self._write() as connection:
            known = select(tables.requests.c.seq).where(tables.requests.c.id == request_id)
            if connection.execute(known).first() is None:
                raise UnknownRequest(f"there is no request {request_id!r}")
            return connection.execute(update(_table).where(dead).values(**again)).rowcount

    def depths(self) -> Mapping[str, QueueDepth]:
        """By destination, for those that have rows."""
        is_open, is_dead = _table.c.state.in_(OPEN), _table.c.state == DeliveryState.DEAD.value
        counted = select(
            _table.c.destination,
            func.sum(case((is_open, 1), else_=0)),
            func.min(case((is_open, _table.c.queued_at))),
            func.sum(case((is_dead, 1), else_=0)),
        ).group_by(_table.c.destination)
        with self._read() as connection:
            found = connection.execute(counted).all()
        return {place: QueueDepth(int(pending), oldest or 0, int(dead)) for place, pending, oldest, dead in found}

    def breaker(self, destination: str) -> Breaker:
        """The stored breaker, or a closed one."""
        table = tables.breakers
        with self._read() as connection:
            row = connection.execute(select(table).where(table.c.destination == destination)).first()
        return Breaker(destination) if row is None else Breaker(*row)

    def save_breaker(self, breaker: Breaker) -> None:
        """Keep a breaker over restarts."""
        row = {
            "destination": breaker.destination, "failures": breaker.failures,
            "open_until": breaker.open_until, "paused_until": breaker.paused_until,
        }  # fmt: skip
        with self._write() as connection:
            upsert(connection, tables.breakers, ("destination",), [row])


def _parcel(connection: Connection, request_id: str, kind: Kind) -> Parcel:
    found = connection.execute(select(tables.requests).where(tables.requests.c.id == request_id)).mappings().one()
    request = rows.request_of(found).request
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
    return Parcel(request, kind, request.episode_start, ends)


def _after_firing(connection: Connection, claim: Claim, delivery: Delivery, now: Timestamp) -> None:
    """In the settlement's transaction: the request was taken, or its receiver will never hear of it."""
    if delivery.result is Result.DEAD:
        resolved = and_(
            _table.c.request_id == claim.parcel.request.id, _table.c.destination == claim.destination,
            _table.c.kind == Kind.RESOLVED.value, _table.c.state.in_(OPEN),
        )  # fmt: skip
        dead = {"state": DeliveryState.DEAD.value, "updated_at": now, "reason": "firing_dead"}
        connection.execute(update(_table).where(resolved).values(**dead))
    if delivery.result is Result.DELIVERED:
        connection.execute(_taken(tables.requests, claim.parcel.request.id, delivery, now))


def _taken(table: Table, request_id: str, delivery: Delivery, now: Timestamp) -> Any:
    by_coordinator = and_(table.c.state == RequestState.REQUESTED.value, literal(bool(delivery.reference)))
    return (
        update(table)
        .where(table.c.id == request_id)
        .values(
            state=case((by_coordinator, RequestState.ACCEPTED.value), else_=table.c.state),
            delivered_at=case((table.c.delivered_at > 0, table.c.delivered_at), else_=now),
            reference=case((table.c.reference != "", table.c.reference), else_=delivery.reference),
            updated_at=now,
        )
    )
