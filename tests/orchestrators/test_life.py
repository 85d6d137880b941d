"""Runs in a real Airflow, Prefect and Dagster: one run per request, and a truthful state, whatever happens."""

from __future__ import annotations

import pytest

from bridge.store.memory import MemoryStore
from tests.orchestrators.front import Front
from tests.orchestrators.servers import LIMIT_SECONDS
from tests.orchestrators.world import World
from tests.support.notifications import numbered
from tests.support.orchestrators.bench import Bench
from tests.support.orchestrators.stub import CUT_AFTER, ERROR_AFTER, TOO_MANY
from tests.support.processes import wait_until
from tests.support.servers import http

pytestmark = pytest.mark.timeout(900)
OTHER = 50  # a request that no other test has


def test_a_request_starts_a_run_that_brings_back_its_version_and_helps(here: World) -> None:
    """The whole life: accepted, running, succeeded with the version that the pipeline returned, recovered."""
    with here.orchestrator.training.held():
        (request_id,) = here.breach("life", lasts=20)
        here.wait_training(request_id)
        found = here.wait_state(request_id, "running")
        assert found["link"].startswith(here.front.url)
        assert found["new_version"] == ""
    found = here.wait_state(request_id, "succeeded")
    assert found["new_version"] == "8"
    assert found["reference"] == here.one_run(request_id).key
    here.heal("life", "8")
    wait_until(lambda: here.request(request_id)["verdict"] == "recovered", LIMIT_SECONDS, f"{here.request(request_id)}")


def test_a_run_that_fails_is_reported_as_failed(here: World) -> None:
    """No version, and the server's own state."""
    with here.orchestrator.training.failing():
        (request_id,) = here.breach("fails")
        found = here.wait_state(request_id, "failed")
    assert found["new_version"] == ""
    here.one_run(request_id)


def test_six_requests_at_once_get_a_run_each(here: World) -> None:
    """Six pipelines drift in the same second."""
    wanted = here.breach(*(f"parallel-{number}" for number in range(6)))
    found = [here.wait_state(request_id, "succeeded") for request_id in wanted]
    assert {one["new_version"] for one in found} == {"8"}
    assert len({here.one_run(request_id).key for request_id in wanted}) == 6


def test_a_repeat_while_it_runs_and_after_its_end_finds_the_same_run(here: World) -> None:
    """Of a bridge that has lost its ledger: the server, or the look-up, knows the run."""
    request_id = numbered(OTHER).id
    with Front(here.orchestrator, patient=True) as front:
        bench = Bench(front)
        with here.orchestrator.training.held():
            bench.settle(OTHER)
            here.wait_training(request_id)
            wait_until(lambda: front.runs[0].state == "running", LIMIT_SECONDS, "the run")
            _repeat(bench)
        wait_until(lambda: front.runs[0].state == "succeeded", LIMIT_SECONDS, "the run's end")
        _repeat(bench)
    here.one_run(request_id)


def _repeat(bench: Bench) -> None:
    bench.ledger = MemoryStore()
    bench.restart()
    assert bench.stub.named(bench.settle(OTHER).reference) == bench.stub.runs[:1]


@pytest.mark.parametrize("fault", [CUT_AFTER, ERROR_AFTER, TOO_MANY])
def test_an_answer_that_is_lost_or_refused_leads_to_one_run(here: World, fault: str) -> None:
    """Cut or 500 after the server has carried it out: looked up. 429: repeated."""
    here.front.faults = [fault]
    (request_id,) = here.breach(f"fault-{fault.replace(' ', '-')}")
    here.wait_run(request_id)
    here.wait_state(request_id, "succeeded")
    here.one_run(request_id)
    assert here.front.faults == []
    assert here.front.taken(request_id) == 1


def test_a_run_is_cancelled_from_the_web_interface(here: World) -> None:
    """The server stops it, and the request says so; the same is done by the command line."""
    here.orchestrator.restart_worker()
    with here.orchestrator.training.held():
        (request_id,) = here.breach("cancelled")
        here.wait_training(request_id)
        here.wait_state(request_id, "running")
        status, text = http("POST", f"{here.process.url}/api/v1/requests/{request_id}/cancel", {})
        assert status == 200, text
        found = here.wait_state(request_id, "cancelled")
    assert found["new_version"] == ""
    wait_until(lambda: here.one_run(request_id).state in {"cancelled", "failed"}, LIMIT_SECONDS, "the run's end")
