"""Runs that the server makes later than the start call: Dagster's sensor launches them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.domain.times import MINUTE
from bridge.ports import Result, Run, RunState
from tests.support.notifications import numbered
from tests.support.orchestrators.bench import Bench
from tests.support.orchestrators.python import DagsterPartition

NAME = f"rb-{numbered(0).id}"


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A key that is accepted, and no run yet."""
    with DagsterPartition() as stub:
        stub.waits = True
        made = Bench(stub)
        assert made.send().result is Result.DELIVERED
        yield made


def run(bench: Bench) -> Run:
    found = bench.ledger.run(numbered(0).id, "ops/run/0")
    assert found is not None
    return found


def test_it_is_queued_until_it_is_made_and_then_has_its_id_and_link(bench: Bench) -> None:
    """Never lost, however often it is not found; the report brings the id and the link."""
    for _ in range(5):
        bench.follow()
    assert (run(bench).state, run(bench).reference, run(bench).link) == (RunState.QUEUED, NAME, "")
    bench.stub.work()  # type: ignore[attr-defined]
    bench.follow()
    assert (run(bench).reference, run(bench).link) == ("run-1", f"{bench.stub.url}/runs/run-1")
    assert (bench.reports[-1].reference, bench.reports[-1].link) == ("run-1", f"{bench.stub.url}/runs/run-1")
    bench.stub.runs[0].state = "running"
    bench.follow()
    bench.stub.runs.clear()
    for _ in range(3):
        bench.follow()
    assert bench.states()[-2:] == ["running", "lost"]
    assert bench.stub.starts == 1


def test_one_that_is_not_made_in_time_is_overdue_with_the_reason(bench: Bench) -> None:
    """The sensor is stopped: no second start."""
    bench.stub.paused = True
    bench.follow(31 * MINUTE)
    assert bench.ledger.overdue_runs() == {"ops/run/0": 1}
    assert "not started within 30m: the sensor is stopped" in bench.reports[-1].message
    assert bench.stub.starts == 1


def test_one_that_is_cancelled_before_it_is_made_is_cancelled_once_it_is_made(bench: Bench) -> None:
    """There is nothing to cancel before."""
    bench.ledger.cancel_run(numbered(0).id, "ops/run/0", bench.now)
    bench.follow()
    assert (run(bench).cancelled_at, run(bench).state) == (0, RunState.QUEUED)
    bench.stub.work()  # type: ignore[attr-defined]
    bench.follow()
    bench.follow()
    assert (bench.stub.runs[0].state, bench.states()[-1]) == ("cancelled", "cancelled")


def test_a_repeated_start_adds_no_second_key(bench: Bench) -> None:
    """As after a restored backup."""
    other = Bench(bench.stub)
    assert other.settle().result is Result.DELIVERED
    bench.stub.work()  # type: ignore[attr-defined]
    assert len(bench.stub.runs) == 1
