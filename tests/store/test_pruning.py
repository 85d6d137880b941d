"""Deletion of old rows in portions, on SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from bridge.domain.request import Episode, RequestState
from bridge.ports import DecisionFilter, Delivery, Result, TickChanges
from bridge.store import history, pruning
from bridge.store.sql import SqlStore
from tests.contracts.test_run_ledger import run
from tests.support.outbox import settle
from tests.support.store_records import HOOK, LEASE, A, decision, queued, record_of

DONE: dict[str, Any] = {"state": RequestState.SUCCEEDED, "ended_at": 500}


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "PORTION", 2)
    monkeypatch.setattr(history, "PAUSE", 0)


def test_everything_old_is_deleted_portion_by_portion(sqlite: SqlStore) -> None:
    """All but the latest request of the pipeline, and with the requests their episodes."""
    records = [record_of(A, start=start, **DONE) for start in range(100, 107)]
    episodes = [Episode(A, start, "R", ("R",), 1, 500) for start in range(100, 107)]
    decisions = [decision(slot) for slot in range(5)]
    sqlite.commit(TickChanges("g", 500, requests=records, episodes=episodes, decisions=decisions, at=500))
    assert sqlite.prune(600) == 6 + 6 + 5
    assert [item.started_at for item in sqlite.episodes(A)] == [106]
    assert sqlite.decisions(DecisionFilter()) == []
    assert sqlite.request(records[-1].id) is not None


def test_the_instant_itself_is_kept(sqlite: SqlStore) -> None:
    records = [record_of(A, start=start, **DONE) for start in (100, 101)]
    sqlite.commit(TickChanges("g", 500, requests=records, decisions=[decision(500)], at=500))
    assert sqlite.prune(500) == 0
    assert sqlite.prune(501) == 2


def test_deliveries_and_runs_go_with_their_request(sqlite: SqlStore) -> None:
    old = record_of(A, start=100, **DONE)
    queued(sqlite, old, record_of(A, start=200, **DONE))
    sqlite.save_run(run(request_id=old.id))
    assert sqlite.prune(600) == 0  # deliveries are open
    for claim in sqlite.claim(HOOK, "w", 500, LEASE, limit=9):
        settle(sqlite, claim, Delivery(Result.DELIVERED), 510, 510)
    assert sqlite.prune(600) == 2
    assert (sqlite.deliveries(old.id), sqlite.runs(old.id)) == ([], [])


def test_a_request_that_is_needed_again_is_not_deleted(sqlite: SqlStore) -> None:
    """The condition is verified in the transaction that deletes."""
    old = record_of(A, start=100, **DONE)
    sqlite.commit(TickChanges("g", 500, requests=[old, record_of(A, start=200, **DONE)], at=500))
    with sqlite._read() as connection:
        ids = pruning.old_requests(connection, 600)
    assert ids == [old.id]
    queued(sqlite, old)
    with sqlite._write() as connection:
        assert pruning.delete_requests(connection, 600, ids) == 0
    assert sqlite.request(old.id) is not None


def test_a_store_that_is_closing_stops_pruning(sqlite: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite.commit(TickChanges("g", 1, decisions=[decision(slot) for slot in range(5)], at=1))
    monkeypatch.setattr(type(sqlite), "closed", property(lambda _: True))
    assert sqlite.prune(100) == 0
    assert len(sqlite.decisions(DecisionFilter())) == 5


def longest_write(path: Path, requests: int) -> tuple[int, int]:
    """Return the steps of the longest transaction that writes in a pruning, and the number of those transactions."""
    store = SqlStore.open_sqlite(path)
    records = [record_of(A, start=start, **DONE) for start in range(requests)]
    decisions = [decision(slot) for slot in range(3 * requests)]
    episodes = [Episode(A, start, "R", ("R",), 1, 500) for start in range(requests)]
    store.commit(TickChanges("g", 500, requests=records, episodes=episodes, decisions=decisions, at=500))
    writes = list[int]()

    def step() -> int:
        writes[-1] += 1
        return 0

    def begun(connection: Connection) -> None:
        reads = connection.get_execution_options().get("reads_only", False)
        writes.extend([] if reads else [0])
        connection.connection.dbapi_connection.set_progress_handler(None if reads else step, 1)  # type: ignore[union-attr]

    event.listen(store._engine, "begin", begun)
    store.prune(600)
    store.close()
    return max(writes), len(writes)


def test_a_portion_takes_the_same_steps_however_much_is_deleted(tmp_path: Path) -> None:
    """A commit beside a pruning waits for one portion at most."""
    few, some = longest_write(tmp_path / "few.db", 10)
    many, more = longest_write(tmp_path / "many.db", 80)
    assert more > 6 * some
    assert many < 1.5 * few
