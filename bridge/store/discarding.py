"""Discarding of deliveries in the SQL store: an operator ends them, and their requests may be undelivered then."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, not_, select, update

from bridge.domain.times import Timestamp
from bridge.ports import DISCARDED, DeliveryState, Discard
from bridge.store import tables
from bridge.store.settling import mark_undelivered

_table = tables.deliveries
KNOWN = not_(and_(_table.c.state == DeliveryState.DEAD.value, _table.c.reason == DISCARDED))  # not discarded


def _idle(now: ColumnElement[int] | Timestamp) -> ColumnElement[bool]:
    """Return the condition for deliveries that no worker attempts now."""
    return not_(and_(_table.c.state == DeliveryState.LEASED.value, _table.c.next_at > now))


_DISCARD = (
    update(_table)
    .where(
        _table.c.request_id == bindparam("which"), _table.c.destination == bindparam("theirs"), tables.PENDING,
        KNOWN, _idle(bindparam("now")),
    )
    .values(state=DeliveryState.DEAD.value, reason=DISCARDED, updated_at=bindparam("now"))
)  # fmt: skip


def discardable(destinations: Collection[str], now: Timestamp, limit: int) -> Select[tuple[object, ...]]:
    """Return the query for the deliveries to these destinations that can be discarded, oldest first."""
    wanted = select(_table).where(_table.c.destination.in_(destinations), tables.PENDING, KNOWN, _idle(now))
    return wanted.order_by(_table.c.queued_at, _table.c.id).limit(limit)


def discard(connection: Connection, items: Sequence[Discard], now: Timestamp) -> None:
    """Discard deliveries that are not attempted now; a request of which none is left becomes undelivered."""
    if items:
        chosen = [{"which": item.request_id, "theirs": item.destination, "now": now} for item in items]
        connection.execute(_DISCARD, chosen)
        mark_undelivered(connection, {item.request_id for item in items}, now)
