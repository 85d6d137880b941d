"""Cost of the store's queries in steps of SQLite's virtual machine: it must not grow with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from bridge.domain.request import Outcome, RequestRecord, RequestState
from bridge.domain.times import SECOND
from bridge.ports import (
    DecisionFilter,
    Delivery,
    Kind,
    NewDelivery,
    RequestFilter,
    Result,
    Settlement,
    TickChanges,
)
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


BIG = ("requests", "deliveries", "decisions", "episodes", "later")


def plans(store: SqlStore, act: Callable[[SqlStore], object]) -> list[str]:
    """Return the plans of the statements in `act`."""
    found: list[str] = []

    def explain(_: object, cursor: Any, statement: str, given: Any, *__: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
            one = given[0] if isinstance(given, list) else given
            found.extend(row[3] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", one))

    event.listen(store._engine, "before_cursor_execute", explain)
    act(store)
    event.remove(store._engine, "before_cursor_execute", explain)
    return found


MODEL = numbered(1).model
PATHS: dict[str, Callable[[SqlStore], object]] = {
    **COSTS,
    "load": lambda store: store.load(T0, T0),
    "depths": lambda store: store.depths(),
    "pull forward": lambda store: store.pull_forward(PLACE, T0),
    "prune": lambda store: store.prune(T0 - 1),
    "request": lambda store: (store.request(numbered(1).id), store.requests_by_id([numbered(1).id])),
    "requests": lambda store: store.requests(RequestFilter()),
    "requests of states": lambda store: store.requests(RequestFilter((RequestState.CLOSED, RequestState.HELD))),
    "next page": lambda store: store.requests(RequestFilter((RequestState.CLOSED,), after=numbered(1).id)),
    "requests of a period": lambda store: store.requests(RequestFilter(since=T0, until=T0 + 1)),
    "requests of a pipeline": lambda store: store.requests(RequestFilter(project="shop", pipeline="ranking")),
    "episodes": lambda store: store.episodes(MODEL),
    "deliveries": lambda store: store.deliveries(numbered(1).id),
    "sent": lambda store: store.sent(T0),
    "verdicts": lambda store: store.verdicts(),
    "decisions": lambda store: store.decisions(DecisionFilter()),
    "decisions of a model": lambda store: store.decisions(DecisionFilter(MODEL)),
    "decisions of a rule": lambda store: store.decisions(DecisionFilter(rule="Drifted")),
    "decisions of outcomes": lambda store: store.decisions(DecisionFilter(outcomes=(Outcome.HELD, Outcome.EXPIRED))),
}


@pytest.mark.parametrize("name", PATHS)
def test_no_path_reads_a_whole_table(name: str, tmp_path: Path) -> None:
    """Each statement uses an index, or the order of the primary key up to its limit."""
    with opened(tmp_path / "bridge.db", 20) as store:
        found = plans(store, PATHS[name])
        assert found
        scans = [plan for plan in found if plan.startswith("SCAN ") and plan.split()[1] in BIG]
        whole = [plan for plan in scans if "USING" not in plan]
        allowed = ["SCAN decisions"] if name == "decisions" else []  # newest first, by its primary key
        assert whole == allowed, found
        assert not [plan for plan in found if "TEMP B-TREE FOR ORDER BY" in plan and name in NO_SORT], found


NO_SORT = {
    "claim and settle", "requests", "requests of states", "requests of a period", "next page", "decisions",
    "pending page",
}  # fmt: skip
