"""Faults around a run in a real orchestrator: kills, credentials, deleted and waiting runs, a server that dies."""

from __future__ import annotations

import pytest

from tests.orchestrators.servers import LIMIT_SECONDS
from tests.orchestrators.world import LONG, World
from tests.support.orchestrators.stub import CUT_AFTER
from tests.support.processes import wait_until

pytestmark = pytest.mark.timeout(900)


def test_a_run_that_ends_while_the_bridge_is_down_is_found_afterwards(here: World) -> None:
    """The start call is answered to nobody, the bridge is killed; it finds the ended run and starts no other."""
    here.front.faults = [CUT_AFTER]
    (request_id,) = here.breach("ends-alone")
    here.wait_run(request_id)
    here.process.kill()
    ended = {"succeeded", "failed"}  # a busy machine may make a run fail: the bridge reports what the server says
    wait_until(lambda: here.runs(request_id)[0].state in ended, LIMIT_SECONDS, "the end of the run")
    here.process.start()
    (run,) = here.runs(request_id)
    here.wait_state(request_id, run.state)
    assert here.orchestrator.training.runs()[request_id] <= 1
    assert here.front.taken(request_id) == 1


def test_wrong_credentials_start_nothing_and_rotated_ones_start_the_run(here: World) -> None:
    """The request waits, with the server's refusal shown; a new password in the file is used without a restart."""
    here.demand("two")
    here.restart()
    (request_id,) = here.breach("rotated")

    def refused() -> bool:
        found = here.request(request_id)
        return any(item["status"] in {401, 403} for item in found.get("deliveries", ()))

    wait_until(refused, LIMIT_SECONDS, f"a refusal of {request_id}")
    assert here.runs(request_id) == []
    here.tell("two")
    here.wait_state(request_id, "succeeded")
    here.one_run(request_id)


def test_a_deleted_run_is_reported_and_never_started_again(here: World) -> None:
    """Once a run was seen nothing is posted again."""
    here.orchestrator.pause(paused=True)  # Airflow deletes no run that is under way
    try:
        (request_id,) = here.breach("deleted")
        here.wait_state(request_id, "accepted")
        here.orchestrator.delete(here.wait_run(request_id))
        here.wait_state(request_id, "lost")
    finally:
        here.orchestrator.pause(paused=False)
    assert here.front.taken(request_id) == 1
    assert here.runs(request_id) == []


def test_a_run_that_does_not_start_is_visible(here: World) -> None:
    """start_deadline: a paused DAG, no worker. It is neither repeated nor given up."""
    here.orchestrator.pause(paused=True)
    try:
        (request_id,) = here.breach("waits")
        wait_until(lambda: "not started within 10s" in str(here.request(request_id)), LIMIT_SECONDS, "the deadline")
        assert here.request(request_id)["state"] == "accepted"
    finally:
        here.orchestrator.pause(paused=False)
    here.wait_state(request_id, "succeeded")
    here.one_run(request_id)
    assert here.front.taken(request_id) == 1


def test_a_server_that_is_killed_and_started_again_keeps_its_runs(here: World) -> None:
    """One run is under way when it dies, one is requested while it is down."""
    with here.orchestrator.training.held():
        (under_way,) = here.breach("under-way")
        here.wait_training(under_way)
        here.orchestrator.kill()
        (meanwhile,) = here.breach("meanwhile", lasts=LONG)
        wait_until(lambda: here.request(meanwhile), LIMIT_SECONDS, "a request while the server is down")
        here.orchestrator.restart()
    for request_id in (under_way, meanwhile):
        here.wait_state(request_id, "succeeded")
        here.one_run(request_id)
