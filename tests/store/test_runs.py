"""Ledger side of the SQL store, on SQLite. tests/contracts/test_run_sqlite.py has the contract of all stores."""

from __future__ import annotations

from bridge.ports import RunState
from bridge.store.sql import SqlStore
from tests.contracts.test_run_ledger import run


def test_a_run_that_is_not_prepared_cannot_be_claimed(sqlite: SqlStore) -> None:
    assert not sqlite.claim_start(run(), 1)
    assert sqlite.run(run().request_id, "team/run/0") is None


def test_a_reference_is_replaced_and_never_removed(sqlite: SqlStore) -> None:
    """Other columns are the newest."""
    sqlite.save_run(run(reference="first", state=RunState.QUEUED))
    sqlite.save_run(run(state=RunState.UNKNOWN))
    (kept,) = sqlite.runs(run().request_id)
    sqlite.save_run(run(reference="second", state=RunState.RUNNING, cancel_at=7))
    (found,) = sqlite.runs(run().request_id)
    assert (kept.reference, kept.state) == ("first", RunState.UNKNOWN)
    assert (found.reference, found.state, found.cancel_at) == ("second", RunState.RUNNING, 7)


def test_a_seen_run_is_cancelled_by_its_poll(sqlite: SqlStore) -> None:
    """Its state changes when the orchestrator has stopped it."""
    sqlite.save_run(run(reference="r", state=RunState.RUNNING, next_poll=500))
    found = sqlite.cancel_run(run().request_id, "team/run/0", 9)
    assert (found.state, found.ended_at, found.cancel_at, found.next_poll) == (RunState.RUNNING, 0, 9, 0)
    assert sqlite.cancel_run(run().request_id, "team/run/0", 99).cancel_at == 9


def test_runs_that_ended_are_not_counted(sqlite: SqlStore) -> None:
    sqlite.save_run(run(1, state=RunState.FAILED, ended_at=5, overdue=True))
    assert (dict(sqlite.run_counts()), dict(sqlite.overdue_runs())) == ({}, {})
    sqlite.save_run(run(2, overdue=True))
    assert dict(sqlite.run_counts()) == {("team/run/0", RunState.STARTING): 1}
    assert dict(sqlite.overdue_runs()) == {"team/run/0": 1}
