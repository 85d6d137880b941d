"""What every preset promises after a start call that may have arrived: held, found, started again, or given up."""

from __future__ import annotations

from bridge.domain.times import DAY, MINUTE
from bridge.ports import Result, RunState
from tests.sinks.test_run import bench
from tests.support.notifications import numbered
from tests.support.orchestrators.bench import Bench
from tests.support.orchestrators.stub import CUT_AFTER, CUT_BEFORE, UNAVAILABLE, Stub
from tests.support.run_actions import start_again

__all__ = ["bench"]


def test_a_held_run_that_turns_up_is_followed(bench: Bench) -> None:
    """The slow call was under way after all."""
    if bench.stub.exact:
        return
    bench.stub.faults = [CUT_BEFORE]
    bench.send()
    assert bench.settle().result is Result.HELD
    bench.stub.faults = []
    Bench(bench.stub).send()
    assert bench.stub.named(bench.settle().reference) == bench.stub.runs[:1]
    assert len(bench.stub.runs) == 1


def test_a_held_run_is_started_again_by_an_operator(bench: Bench) -> None:
    """Looked up, and then started once; also after max_age. A second ambiguous answer holds it again."""
    if not bench.stub.looks_up:
        return
    bench.stub.faults = [CUT_BEFORE]
    bench.send()
    bench.now += DAY + MINUTE
    bench.restart()
    assert bench.settle().result is Result.HELD
    assert start_again(bench.ledger, numbered(0).id, "ops/run/0", bench.now)
    bench.stub.faults = [UNAVAILABLE]
    assert bench.send().result is Result.RETRY
    if not bench.stub.exact:
        assert bench.settle().result is Result.HELD
        assert start_again(bench.ledger, numbered(0).id, "ops/run/0", bench.now)
    assert bench.settle().result is Result.DELIVERED
    assert len(bench.stub.runs) == 1


def test_a_run_that_is_found_is_not_started_again(bench: Bench) -> None:
    """The first call arrived after all: the operator's wish comes too late."""
    if not bench.stub.looks_up:
        return
    bench.stub.faults = [CUT_BEFORE]
    bench.send()
    bench.now += DAY + MINUTE
    assert bench.settle().result is Result.HELD
    assert start_again(bench.ledger, numbered(0).id, "ops/run/0", bench.now)
    other = Bench(bench.stub)
    other.send()
    assert bench.stub.named(bench.settle().reference) == bench.stub.runs[:1]
    assert len(bench.stub.runs) == 1


def test_a_held_run_that_is_cancelled_ends(bench: Bench) -> None:
    """Once its start call can no longer arrive."""
    if not bench.stub.looks_up:
        return
    bench.stub.faults = [CUT_BEFORE]
    bench.send()
    bench.ledger.cancel_run(numbered(0).id, "ops/run/0", bench.now)
    assert bench.send().result is Result.HELD
    bench.now += 15 * MINUTE
    delivery = bench.send()
    assert (delivery.result, bench.state()) == (Result.DELIVERED, RunState.CANCELLED)
    assert bench.stub.runs == []


def test_on_unknown_resend_starts_again_after_the_look_ups(stub: Stub) -> None:
    """For people who prefer a second run to none."""
    bench = Bench(stub, on_unknown="resend")
    stub.faults = [CUT_BEFORE]
    bench.send()
    for _ in range(10):
        if bench.settle().result is Result.DELIVERED:
            break
    assert len(stub.runs) == 1


def test_after_max_age_an_unknown_start_is_never_repeated(bench: Bench) -> None:
    """Whatever the guarantee: the server may have forgotten the run."""
    bench.stub.faults = [CUT_AFTER]
    bench.send()
    bench.stub.runs.clear()
    bench.now += DAY + MINUTE
    assert bench.settle().result is Result.HELD
    assert bench.stub.runs == []
