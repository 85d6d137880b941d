"""Ledger of the in-memory store. tests/contracts/test_run_ledger.py has the contract of all stores."""

from __future__ import annotations

import pytest

from bridge.ports import RunState
from bridge.store.memory_runs import MemoryRuns
from tests.contracts.test_run_ledger import run


def test_runs_of_a_request_are_in_the_order_of_their_destinations() -> None:
    ledger = MemoryRuns()
    for destination in ("b/run/0", "a/run/1", "a/run/0"):
        ledger.save_run(run(1, destination=destination))
    ledger.save_run(run(2))
    assert [item.destination for item in ledger.runs(run(1).request_id)] == ["a/run/0", "a/run/1", "b/run/0"]


def test_only_a_prepared_run_can_be_claimed() -> None:
    with pytest.raises(KeyError):
        MemoryRuns().claim_start(run(), 1)


def test_a_cancellation_is_recorded_once() -> None:
    """The run is polled at once; a later cancellation keeps the first instant."""
    ledger = MemoryRuns()
    ledger.save_run(run(sent_at=1, next_poll=500))
    first = ledger.cancel_run(run().request_id, "team/run/0", 10)
    assert (first.cancel_at, first.next_poll, first.state) == (10, 0, RunState.STARTING)
    assert ledger.cancel_run(run().request_id, "team/run/0", 20).cancel_at == 10


def test_a_cancelled_run_is_not_forgotten() -> None:
    """It would be prepared and started again."""
    ledger = MemoryRuns()
    ledger.cancel_run(run().request_id, "team/run/0", 10)
    ledger.forget_run(run().request_id, "team/run/0")
    ledger.forget_run("unknown", "team/run/0")
    assert ledger.run(run().request_id, "team/run/0") is not None
    assert (dict(ledger.run_counts()), dict(ledger.overdue_runs())) == ({}, {})
