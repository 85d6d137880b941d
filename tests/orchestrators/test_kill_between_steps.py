"""kill -9 of the bridge between every pair of steps of a run's path, with a real orchestrator: one run each."""

from __future__ import annotations

import pytest

from tests.crash.launcher import RUN_STEPS
from tests.orchestrators.servers import LIMIT_SECONDS
from tests.orchestrators.world import World
from tests.support.processes import wait_until

# The start call is recorded, and not made. Only a server that knows the run's name lets the bridge repeat it.
UNKNOWN = "before start"


@pytest.mark.timeout(1800)
def test_killed_at_every_step_each_request_has_its_one_run(here: World) -> None:
    """Before and after each write and call: the plan, the start call, the record of the run, its states."""
    wanted = {}
    for step in RUN_STEPS:
        here.restart(step)
        (wanted[step],) = here.breach(step.replace(" ", "-"), lasts=60)
        here.wait_death(step)
    here.restart()
    if not here.orchestrator.exact:
        held(here, wanted.pop(UNKNOWN))
    for step, request_id in wanted.items():
        found = here.wait_state(request_id, "succeeded")
        run = here.one_run(request_id)
        assert (run.state, run.key, found["new_version"]) == ("succeeded", found["reference"], "8"), step


def held(here: World, request_id: str) -> None:
    """Check that a request waits for an operator, and that nothing runs for it."""

    def unknown() -> bool:
        return [run["state"] for run in here.request(request_id)["runs"]] == ["unknown"]

    wait_until(unknown, LIMIT_SECONDS, f"an unknown outcome\n{here.request(request_id)}")
    assert here.runs(request_id) == []
