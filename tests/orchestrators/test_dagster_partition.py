"""Dagster with a sensor, which makes the run after the start call: one run per request, whatever happens."""

from __future__ import annotations

import pytest

from tests.orchestrators.kinds import DagsterPartition
from tests.orchestrators.test_faults import test_a_run_that_does_not_start_is_visible
from tests.orchestrators.test_life import (
    test_a_request_starts_a_run_that_brings_back_its_version_and_helps,
    test_a_run_is_cancelled_from_the_web_interface,
    test_six_requests_at_once_get_a_run_each,
)
from tests.orchestrators.test_random_kills import KILLS, kill_at_random
from tests.orchestrators.world import LONG, World
from tests.support.orchestrators.stub import CUT_AFTER, CUT_BEFORE, ERROR_AFTER

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.parametrize("here", [DagsterPartition], indirect=True, ids=["dagster"], scope="session"),
]
__all__ = [
    "test_a_request_starts_a_run_that_brings_back_its_version_and_helps",
    "test_a_run_is_cancelled_from_the_web_interface",
    "test_a_run_that_does_not_start_is_visible",
    "test_six_requests_at_once_get_a_run_each",
]


@pytest.mark.parametrize("fault", [CUT_BEFORE, CUT_AFTER, ERROR_AFTER])
def test_an_ambiguous_answer_is_repeated_and_makes_no_second_run(here: World, fault: str) -> None:
    """The key is accepted once; nothing is held."""
    here.front.faults = [fault]
    (request_id,) = here.breach(f"fault-{fault.replace(' ', '-')}")
    found = here.wait_state(request_id, "succeeded")
    assert found["reference"] == here.one_run(request_id).key
    assert here.front.faults == []


@pytest.mark.parametrize("step", ["before start", "after start", "after sighting"])
def test_killed_around_the_start_call_the_request_has_its_one_run(here: World, step: str) -> None:
    """With the plain preset, the first of them holds the request."""
    here.restart(step)
    (request_id,) = here.breach(step.replace(" ", "-"), lasts=LONG)
    here.wait_death(step)
    here.restart()
    found = here.wait_state(request_id, "succeeded")
    run = here.one_run(request_id)
    assert (run.state, run.key, found["new_version"]) == ("succeeded", found["reference"], "8")


def test_the_sensor_starts_no_other_run_for_one_that_was_deleted(here: World) -> None:
    """Its cursor has passed the key."""
    with here.orchestrator.training.failing():
        (request_id,) = here.breach("deleted")
        here.wait_state(request_id, "failed")
    here.orchestrator.delete(here.one_run(request_id))
    (other,) = here.breach("later")  # by then the sensor has run again
    here.wait_state(other, "succeeded")
    assert here.runs(request_id) == []
    assert here.orchestrator.training.runs()[request_id] == 1


@pytest.mark.timeout(KILLS * 60 + 900)
def test_killed_at_random_moments_every_request_has_its_one_run(here: World) -> None:
    """See test_random_kills."""
    kill_at_random(here)
