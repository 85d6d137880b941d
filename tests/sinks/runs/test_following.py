"""Following of runs, for every preset: states, cancellation, deadlines."""

from __future__ import annotations

import pytest

from bridge.domain.times import MINUTE
from bridge.ports import Result, RunState
from tests.support.notifications import numbered
from tests.support.orchestrators.bench import Bench
from tests.support.orchestrators.stub import (
    Stub,
)


@pytest.fixture
def bench(stub: Stub) -> Bench:
    return Bench(stub)


def test_each_state_is_reported_once(bench: Bench) -> None:
    """Each state once, with the link and the version."""
    bench.send()
    run = bench.stub.runs[0]
    for state in ("queued", "running", "running", "succeeded"):
        run.state, run.version = state, "8" if state == "succeeded" else ""
        bench.restart()
        bench.follow()
    assert bench.states() == ["accepted", "running", "succeeded"]
    assert all(report.link.startswith("http") == bench.stub.has_link for report in bench.reports)
    assert {report.reference for report in bench.reports} == {run.id}
    if bench.stub.versions:
        assert bench.reports[-1].new_version == "8"
    calls = len(bench.stub.calls)
    bench.follow()
    assert len(bench.stub.calls) == calls


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_run_that_failed_or_was_cancelled_is_reported(bench: Bench, state: str) -> None:
    """Failed is failed; cancelled by somebody else is what the server says."""
    bench.send()
    bench.stub.runs[0].state = state
    bench.follow()
    said = "failed" if bench.stub.words[state] == bench.stub.words["failed"] else state
    assert bench.states() == [said]


def test_an_unknown_state_does_not_end_a_run(bench: Bench) -> None:
    """A newer server may have states that the preset does not know."""
    if not bench.stub.has_unknown_words:
        return
    bench.send()
    bench.stub.runs[0].state = "odd"
    bench.follow()
    assert bench.state() is RunState.UNKNOWN
    bench.stub.runs[0].state = "succeeded"
    bench.follow()
    assert bench.states()[-1] == "succeeded"


def test_a_run_that_was_deleted_is_lost_and_not_started_again(bench: Bench) -> None:
    """Once a run was seen, nothing is started again, even if the server has forgotten it."""
    bench.send()
    if bench.stub.later:
        bench.follow()
    bench.stub.runs.clear()
    for _ in range(4):
        bench.follow()
    assert bench.states()[-1] == "lost"
    assert bench.send().result is Result.DELIVERED
    assert (bench.stub.runs, bench.stub.starts) == ([], 1)


def test_a_run_that_never_starts_is_overdue(bench: Bench) -> None:
    """Visible, with the server's reason where it gives one; no second start."""
    bench.send()
    bench.stub.paused = True
    bench.follow(31 * MINUTE)
    assert bench.ledger.overdue_runs() == {"ops/run/0": 1}
    assert "not started within 30m" in bench.reports[-1].message
    bench.stub.runs[0].state = "running"
    bench.follow()
    assert bench.ledger.overdue_runs() == {}
    assert bench.stub.starts == 1


def test_a_run_is_cancelled(bench: Bench) -> None:
    """Asked once, reported as cancelled also by servers that call it failed."""
    bench.send()
    bench.stub.runs[0].state = "running"
    bench.follow()
    bench.ledger.cancel_run(numbered(0).id, "ops/run/0", bench.now)
    bench.follow()
    bench.follow()
    assert bench.states()[-1] == "cancelled"
    assert bench.send().result is Result.DELIVERED
    assert bench.stub.starts == 1


def test_a_run_that_has_ended_is_not_cancelled(bench: Bench) -> None:
    """Some servers would turn its success into a failure."""
    bench.send()
    bench.stub.runs[0].state = "succeeded"
    bench.ledger.cancel_run(numbered(0).id, "ops/run/0", bench.now)
    bench.follow()
    assert bench.states() == ["succeeded"]
    assert bench.stub.runs[0].state == "succeeded"


def test_many_runs_are_read_in_one_call(bench: Bench) -> None:
    """Where the server can list."""
    for number in range(5):
        bench.send(number)
    if bench.stub.later:
        bench.follow()
    calls = len(bench.stub.calls)
    bench.follow()
    assert len(bench.stub.calls) - calls == (1 if bench.stub.lists else 5)
    assert bench.states() == ["accepted"] * 5
