"""Cost of the store's queries in steps of SQLite's virtual machine: it must not grow with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from bridge.domain.request import RequestRecord, RequestState
from bridge.domain.times import SECOND
from bridge.ports import Delivery, Kind, NewDelivery, Result, Settlement, TickChanges
from bridge.store.sql import SqlStore
from tests.support.notifications import T0, numbered

PLACE = "ops/webhook/0"


@contextmanager
def opened(path: Path, requests: int) -> Iterator[SqlStore]:
    """Open a store with this many requests queued."""
    store = SqlStore.open_sqlite(path)
    records = [
        RequestRecord(numbered(number), RequestState.REQUESTED, T0, ("ops",), (PLACE,), sent_at=T0)
        for number in range(requests)
    ]
    deliveries = [NewDelivery(record.id, PLACE, Kind.FIRING) for record in records]
    store.commit(TickChanges("group", T0, requests=records, deliveries=deliveries, at=T0))
    try:
        yield store
    finally:
        store.close()


def steps(store: SqlStore, act: Callable[[SqlStore], object]) -> int:
    """Return the number of steps of the statements in `act`."""
    count = 0

    def progress() -> int:
        nonlocal count
        count += 1
        return 0

    def begun(connection: Connection) -> None:
        connection.connection.dbapi_connection.set_progress_handler(progress, 1)  # type: ignore[union-attr]

    event.listen(store._engine, "begin", begun)
    act(store)
    event.remove(store._engine, "begin", begun)
    return count


def claim_and_settle(store: SqlStore) -> None:
    claims = store.claim(PLACE, "w", T0, SECOND, 10)
    assert len(claims) == 10
    store.settle([Settlement([claim], Delivery(Result.DELIVERED), T0, T0) for claim in claims])


COSTS: dict[str, Callable[[SqlStore], object]] = {
    "claim and settle": claim_and_settle,
    "nothing due": lambda store: store.claim(PLACE, "w", T0 - 1, SECOND, 10),
    "next due": lambda store: store.next_due(PLACE),
    "pending page": lambda store: store.pending_deliveries(20),
}


@pytest.mark.parametrize("name", COSTS)
def test_a_query_costs_the_same_whatever_the_queue(name: str, tmp_path: Path) -> None:
    """100 and 3,000 queued deliveries."""
    with opened(tmp_path / "few.db", 100) as few, opened(tmp_path / "many.db", 3_000) as many:
        assert 0 < steps(many, COSTS[name]) <= 1.2 * steps(few, COSTS[name])
