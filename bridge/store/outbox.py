"""Delivery side of the SQL store: per-destination queues with leases and fenced settlements."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Integer,
    RowMapping,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from bridge.domain.errors import UnknownRequestError
from bridge.domain.request import RequestState
from bridge.domain.times import Duration, Timestamp
from bridge.ports import Breaker, Claim, DeliveryRecord, DeliveryState, Kind, Notification, QueueDepth, Settlement
from bridge.store import discarding, rows, settling, tables
from bridge.store.base import SqlTransactions, upsert

_table = tables.deliveries
_OPEN = [state.value for state in (DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.RETRY)]
_ids: BindParameter[Any] = bindparam("ids", expanding=True)


def _waiting() -> ColumnElement[bool]:
    """Return the condition for open deliveries of :destination that are not blocked: RESOLVED waits for FIRING."""
    first = _table.alias("first")
    begun = (
        select(first.c.id)
        .where(
            first.c.request_id == _table.c.request_id,
            first.c.destination == _table.c.destination,
            first.c.kind == Kind.FIRING.value,
            first.c.state.in_(_OPEN),
        )
        .exists()
    )
    ready = or_(_table.c.kind == Kind.FIRING.value, ~begun)
    return and_(_table.c.destination == bindparam("destination"), tables.OPEN, ready)


# Building a statement costs ten times as much as running it: those needed for every attempt are built once.
_DUE = _table.c.next_at <= bindparam("now")
_ORDER = (_table.c.next_at, _table.c.queued_at, _table.c.id)  # the order of the index, so that nothing is sorted
_ANY_DUE = select(_table.c.id).where(_waiting(), _DUE).limit(1)
_MOST = bindparam("most", type_=Integer)
_CLAIM = select(_table).where(_waiting(), _DUE).order_by(*_ORDER).limit(_MOST).with_for_update(skip_locked=True)
_CLAIM_REST = (
    select(_table)
    .where(
        _table.c.destination == bindparam("destination"),
        tables.OPEN,
        _DUE,
        _table.c.bundle == bindparam("same"),
        _table.c.id != bindparam("which"),
    )
    .order_by(*_ORDER)
    .limit(_MOST)
    .with_for_update(skip_locked=True)
)
_LEASE = (
    update(_table)
    .where(_table.c.id.in_(_ids))
    .values(
        {
            "attempts": _table.c.attempts + 1,
            **{name: bindparam(f"new_{name}") for name in ("state", "worker", "next_at", "updated_at")},
        }
    )
)
_RELEASE = (
    update(_table)
    .where(
        _table.c.id == bindparam("which"),
        _table.c.state == DeliveryState.LEASED.value,
        _table.c.worker == bindparam("holder"),
        _table.c.attempts == bindparam("fence"),
    )
    .values({name: bindparam(f"new_{name}") for name in ("state", "attempts", "next_at")})
)
_NEXT_DUE = select(_table.c.next_at).where(_waiting()).order_by(_table.c.next_at).limit(1)
_OPEN_COUNTS = (
    select(_table.c.destination, func.count(), func.min(_table.c.queued_at))
    .where(tables.OPEN)
    .group_by(_table.c.destination)
)
_DEAD_COUNTS = (
    select(_table.c.destination, func.count()).where(tables.DEAD, discarding.KNOWN).group_by(_table.c.destination)
)
_BREAKER = select(tables.breakers).where(tables.breakers.c.destination == bindparam("destination"))
_REQUESTS = select(tables.requests).where(tables.requests.c.id.in_(_ids))
_EPISODE_ENDS = (
    select(tables.requests.c.id, tables.episodes.c.ended_at)
    .where(*(tables.requests.c[name] == tables.episodes.c[name] for name in ("project", "pipeline", "version")))
    .where(tables.requests.c.episode_start == tables.episodes.c.started_at, tables.requests.c.id.in_(_ids))
)


class SqlOutbox(SqlTransactions):
    """Implementation of ports.Outbox."""

    _breakers: dict[str, Breaker]

    def claim(self, destination: str, worker: str, now: Timestamp, lease: Duration, limit: int = 1) -> list[Claim]:
        """Lease the due deliveries of a destination; the attempt number counted here fences the settlement."""
        if not self._any_due(destination, now):
            return []
        with self._write() as connection:
            given = {"destination": destination, "now": now, "most": limit}
            due = connection.execute(_CLAIM, given).mappings().all()
            return _leased(connection, due, worker, now, lease)

    def _any_due(self, destination: str, now: Timestamp) -> bool:
        """Return whether anything is due, without a write lock: most calls find nothing."""
        with self._read() as connection:
            return connection.execute(_ANY_DUE, {"destination": destination, "now": now}).first() is not None

    def claim_rest(self, claim: Claim, now: Timestamp, lease: Duration, limit: int = 99) -> list[Claim]:
        """Lease the other due deliveries of the claim's bundle."""
        given = {"destination": claim.destination, "same": claim.bundle, "which": claim.id, "now": now, "most": limit}
        with self._write() as connection:
            rest = connection.execute(_CLAIM_REST, given).mappings().all()
            return _leased(connection, rest, claim.worker, now, lease)

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Record attempts in one transaction. False where a lease has ended and another worker holds the delivery."""
        with self._write() as connection:
            return settling.record(connection, settlements)

    def release(self, claims: Sequence[Claim]) -> None:
        """Return leased deliveries that were not attempted to the queue."""
        again = [
            {
                "which": claim.id, "holder": claim.worker, "fence": claim.attempt,
                "new_state": (DeliveryState.RETRY if claim.attempt > 1 else DeliveryState.QUEUED).value,
                "new_attempts": claim.attempt - 1, "new_next_at": claim.due_at,
            }
            for claim in claims
        ]  # fmt: skip
        with self._write() as connection:
            connection.execute(_RELEASE, again)

    def next_due(self, destination: str) -> Timestamp | None:
        """Return when the next delivery becomes due; None when the queue is empty."""
        with self._read() as connection:
            return connection.execute(_NEXT_DUE, {"destination": destination}).scalar()

    def pull_forward(self, destination: str, now: Timestamp) -> None:
        """Make every delivery that waits for a retry due now."""
        waits = and_(
            _table.c.destination == destination, tables.OPEN, _table.c.next_at > now,
            _table.c.state != DeliveryState.LEASED.value,
        )  # fmt: skip
        with self._write() as connection:
            connection.execute(update(_table).where(waits).values(next_at=now))

    def retry(self, request_id: str, destinations: Collection[str], now: Timestamp) -> int:
        """Make the request's deliveries to `destinations` that wait for a retry due now; return how many.

        Raises UnknownRequestError.
        """
        with self._write() as connection:
            _check_known(connection, request_id)
            return make_due(connection, request_id, now, _table.c.destination.in_(destinations))

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

    def discardable(self, destinations: Collection[str], now: Timestamp, limit: int) -> list[DeliveryRecord]:
        """Return the deliveries to these destinations that can be discarded, oldest first."""
        with self._read() as connection:
            found = connection.execute(discarding.discardable(destinations, now, limit)).mappings()
            return [rows.delivery_of(row) for row in found]

    def depths(self) -> Mapping[str, QueueDepth]:
        """Return the queue depth of each destination that has open or dead deliveries."""
        with self._read() as connection:
            waiting = {name: (count, oldest) for name, count, oldest in connection.execute(_OPEN_COUNTS)}
            dead = dict(map(tuple, connection.execute(_DEAD_COUNTS)))
        return {name: QueueDepth(*waiting.get(name, (0, 0)), dead.get(name, 0)) for name in sorted({*waiting, *dead})}

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
        row = (breaker.destination, breaker.failures, breaker.open_until, breaker.paused_until)
        with self._write() as connection:
            upsert(connection, tables.breakers, ("destination",), [row])
        self._breakers[breaker.destination] = breaker


def _leased(
    connection: Connection, due: Sequence[RowMapping], worker: str, now: Timestamp, lease: Duration
) -> list[Claim]:
    """Lease the rows, and return them as claims."""
    if not due:
        return []
    state, until = DeliveryState.LEASED.value, now + lease
    leased = {"new_state": state, "new_worker": worker, "new_next_at": until, "new_updated_at": now}
    connection.execute(_LEASE, {"ids": [row["id"] for row in due], **leased})
    notifications = _notifications(connection, due)
    return [
        Claim(
            row["id"], row["destination"], notification, worker, row["attempts"] + 1, row["queued_at"], row["bundle"],
            row["next_at"],
        )
        for row, notification in zip(due, notifications, strict=True)
    ]  # fmt: skip


def _notifications(connection: Connection, due: Iterable[RowMapping]) -> list[Notification]:
    """Return what the deliveries send."""
    ids = {row["request_id"] for row in due}
    found = connection.execute(_REQUESTS, {"ids": list(ids)}).mappings()
    requests = {row["id"]: rows.request_of(row).request for row in found}
    over = [row["request_id"] for row in due if row["kind"] == Kind.RESOLVED.value]
    ends = dict(map(tuple, connection.execute(_EPISODE_ENDS, {"ids": over}))) if over else {}
    made = []
    for row in due:
        request, kind = requests[row["request_id"]], rows.member(Kind, row, "deliveries", "kind", "id")
        ends_at = ends.get(request.id, 0) if kind is Kind.RESOLVED else 0
        made.append(Notification(request, kind, request.episode_start, row["queued_at"], ends_at))
    return made


_requests = tables.requests.c
_DRIVEN_AGAIN = (
    update(tables.requests)
    .where(_requests.id == bindparam("which"), _requests.state == RequestState.UNDELIVERED.value)
    .values(state=RequestState.REQUESTED.value, terminal=0, updated_at=bindparam("now"), ended_at=0, message="")
)


def make_due(connection: Connection, request_id: str, now: Timestamp, *chosen: ColumnElement[bool]) -> int:
    """Make the request's deliveries that wait for a retry due now, and return their number. chosen: conditions."""
    waits = and_(
        _table.c.request_id == request_id, _table.c.state == DeliveryState.RETRY.value, _table.c.next_at > now, *chosen
    )
    return connection.execute(update(_table).where(waits).values(next_at=now)).rowcount


def _check_known(connection: Connection, request_id: str) -> None:
    known = select(tables.requests.c.seq).where(tables.requests.c.id == request_id)
    if connection.execute(known).first() is None:
        raise UnknownRequestError(f"there is no request {request_id!r}")
