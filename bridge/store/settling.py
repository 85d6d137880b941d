"""Settlement of attempts in the SQL store: fenced, and with the effect on the request in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, and_, bindparam, case, select, update

from bridge.domain.request import NOT_TAKEN, RequestState
from bridge.domain.times import Timestamp
from bridge.ports import Claim, Delivery, DeliveryState, Kind, Result, Settlement
from bridge.store import tables

ANSWER_KEPT = 4096
_table, _requests = tables.deliveries, tables.requests.c
_ENDS = {Result.DELIVERED: DeliveryState.DELIVERED, Result.DEAD: DeliveryState.DEAD}
_ids: BindParameter[Any] = bindparam("ids", expanding=True)

_HELD = (
    select(_table.c.id, _table.c.worker, _table.c.attempts)
    .where(_table.c.id.in_(_ids), _table.c.state == DeliveryState.LEASED.value)
    .with_for_update()
)
_SETTLE = (
    update(_table)
    .where(_table.c.id == bindparam("which"))
    .values(
        {name: bindparam(f"new_{name}") for name in ("state", "next_at", "updated_at", "reason", "status", "answer")}
    )
)
_DISSOLVE = update(_table).where(_table.c.id.in_(_ids)).values(bundle="")
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
_RESOLVED_TOO = (
    update(_table)
    .where(
        _table.c.request_id == bindparam("which"),
        _table.c.destination == bindparam("theirs"),
        _table.c.kind == Kind.RESOLVED.value,
        tables.OPEN,
    )
    .values(state=DeliveryState.DEAD.value, updated_at=bindparam("now"), reason="firing_dead")
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


def record(connection: Connection, settlements: Sequence[Settlement]) -> list[bool]:
    """Record attempts, and return for each whether all of its claims were still held."""
    ids = [claim.id for item in settlements for claim in item.claims]
    held = {row.id: (row.worker, row.attempts) for row in connection.execute(_HELD, {"ids": ids})}
    recorded = [item for item in settlements if _take(held, item.claims)]
    changes = [_change(claim, item) for item in recorded for claim in item.claims]
    if changes:
        connection.execute(_SETTLE, changes)
    apart = [claim.id for item in recorded if item.apart for claim in item.claims]
    if apart:
        connection.execute(_DISSOLVE, {"ids": apart})
    _update_requests(connection, recorded)
    done = {id(item) for item in recorded}
    return [id(item) in done for item in settlements]


def _take(held: dict[int, tuple[str, int]], claims: Iterable[Claim]) -> bool:
    """Return whether all claims are held, and count them as settled then."""
    if any(held.get(claim.id) != (claim.worker, claim.attempt) for claim in claims):
        return False
    for claim in claims:
        del held[claim.id]
    return True


def _change(claim: Claim, item: Settlement) -> Mapping[str, Any]:
    delivery = item.delivery
    return {
        "which": claim.id, "new_state": _ENDS.get(delivery.result, DeliveryState.RETRY).value,
        "new_next_at": item.next_at, "new_updated_at": item.at, "new_reason": delivery.reason,
        "new_status": delivery.status, "new_answer": delivery.answer[:ANSWER_KEPT],
    }  # fmt: skip


def _update_requests(connection: Connection, recorded: Sequence[Settlement]) -> None:
    """Update the requests: accepted by this receiver, or never to be received by it."""
    firing = [
        (claim, item.delivery, item.at)
        for item in recorded
        for claim in item.claims
        if claim.notification.kind is Kind.FIRING
    ]
    accepted = [_accepted(claim, delivery, at) for claim, delivery, at in firing if delivery.result is Result.DELIVERED]
    if accepted:
        connection.execute(_ACCEPTED, accepted)
    for claim, delivery, at in firing:
        if delivery.result is Result.DEAD:
            which = {"which": claim.notification.request.id, "now": at}
            connection.execute(_RESOLVED_TOO, {**which, "theirs": claim.destination})
            mark_undelivered(connection, [claim.notification.request.id], at)


def mark_undelivered(connection: Connection, request_ids: Collection[str], at: Timestamp) -> None:
    """Mark requests without a report as undelivered if every firing delivery is dead."""
    connection.execute(_UNDELIVERED, [{"which": id_, "now": at} for id_ in sorted(request_ids)])


def _accepted(claim: Claim, delivery: Delivery, at: Timestamp) -> Mapping[str, Any]:
    return {"which": claim.notification.request.id, "now": at, "their_reference": delivery.reference}
