"""kill -9 of the bridge and of the orchestrator at random moments while requests flow: none lost, no second run.

ORCHESTRATOR_KILLS: kills of each exact preset (7); CRASH_SEED repeats a run. scripts/soak makes a long one.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest

from tests.orchestrators.kinds import KINDS
from tests.orchestrators.world import LONG, World, pass_time
from tests.support.orchestrators.stub import CUT_AFTER, CUT_BEFORE, ERROR_AFTER, TOO_MANY

KILLS = int(os.environ.get("ORCHESTRATOR_KILLS", "7"))
EVERY = 4  # one of so many kills hits the orchestrator
EXACT = [kind for kind in KINDS if kind.exact]
ENDED = {"succeeded", "failed"}


def kill(here: World, what: str, rng: random.Random) -> None:
    """Kill the bridge or the orchestrator at a random moment, and start it again."""
    pass_time(rng.uniform(0, 4))
    if what == "orchestrator":
        here.orchestrator.kill()
        pass_time(rng.uniform(0, 2))
        here.orchestrator.restart()
        return
    here.process.kill()
    pass_time(rng.choice([0.0, rng.uniform(0, 2)]))
    here.process.launch()
    if rng.random() < 0.75:
        here.process.wait_ready()


@pytest.mark.parametrize("here", EXACT, indirect=True, ids=[kind.name for kind in EXACT], scope="session")
@pytest.mark.timeout(KILLS * 60 + 900)
def test_killed_at_random_moments_every_request_has_its_one_run(here: World) -> None:
    """Some answers of the server are lost as well."""
    kill_at_random(here)


def kill_at_random(here: World) -> None:
    """Kill and check; print the seed and the counts."""
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(2**32))
    print(f"CRASH_SEED={seed} ORCHESTRATOR_KILLS={KILLS}")
    rng, began, wanted = random.Random(seed), time.monotonic(), list[str]()
    victims = ["orchestrator" if number % EVERY == 0 else "bridge" for number in range(KILLS)]
    rng.shuffle(victims)
    for number, victim in enumerate(victims):
        here.front.faults = rng.choices(["", CUT_AFTER, CUT_BEFORE, ERROR_AFTER, TOO_MANY], [6, 2, 1, 1, 1])
        wanted += here.breach(*(f"kills-{seed}-{number}-{one}" for one in range(rng.randint(1, 2))), lasts=LONG)
        kill(here, victim, rng)
    here.front.faults = []
    here.process.wait_ready()
    found = {request_id: here.wait_state(request_id, *ENDED, "missed") for request_id in wanted}
    runs = Counter(run.episode for run in here.orchestrator.all_runs())
    states = Counter(one["state"] for one in found.values())
    name, took = here.orchestrator.preset, time.monotonic() - began
    print(f"{name}: kills {dict(Counter(victims))}, requests {len(found)} {dict(states)}, {took:.0f} s")
    for request_id, one in found.items():
        assert runs[request_id] == (one["state"] != "missed"), one
        if one["state"] != "missed":
            (run,) = here.runs(request_id)
            assert (run.key, run.state) == (one["reference"], one["state"])
    assert len(found) - states["missed"] >= KILLS / 2
