"""kill -9 of the bridge between every pair of steps of a run's path, with a real orchestrator: one run each."""

from __future__ import annotations

import pytest

from tests.crash.launcher import RUN_STEPS
from tests.orchestrators.servers import LIMIT_SECONDS
from tests.orchestrators.world import LONG, World
from tests.support.processes import wait_until


@pytest.mark.timeout(1800)
def test_killed_at_every_step_each_request_has_its_one_run(here: World) -> None:
    """Before and after each write and call: the plan, the start call, the record of the run, its states.

    Between the record of a start call and the call, only a server that knows the run's name lets the bridge repeat it:
    otherwise the request is held.
    """
    wanted = {}
    for step in RUN_STEPS:
        here.restart(step)
        (wanted[step],) = here.breach(step.replace(" ", "-"), lasts=LONG)
        here.wait_death(step)
    here.restart()
    settled = {step: wait_settled(here, request_id) for step, request_id in wanted.items()}
    held = [step for step, state in settled.items() if state == "unknown"]
    assert len(held) == (0 if here.orchestrator.exact else 1), settled
    for step, request_id in wanted.items():
        if step in held:
            assert here.runs(request_id) == []
            here.command("requests", "start-again", request_id, "--by", "ann")
            here.wait_state(request_id, "succeeded")
        run, found = here.one_run(request_id), here.request(request_id)
        assert (run.state, run.key, found["new_version"]) == ("succeeded", found["reference"], "8"), step


def wait_settled(here: World, request_id: str) -> str:
    """Wait until a request has succeeded, or its outcome is unknown; return which."""

    def settled() -> str:
        found = here.request(request_id)
        states = {found.get("state", ""), *(run["state"] for run in found.get("runs", ()))}
        return next((state for state in ("succeeded", "unknown") if state in states), "")

    return wait_until(settled, LIMIT_SECONDS, f"the end of {request_id}")
