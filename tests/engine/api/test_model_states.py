"""Present state of every model as one column."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bridge.domain.model import ModelKey
from bridge.domain.request import RequestState
from bridge.domain.rule import Gates
from bridge.domain.times import HOUR, SECOND
from bridge.engine.api.model_states import STATES, UNSEEN, counted, present_states
from bridge.engine.api.views import ModelState
from bridge.ports import StatusReport
from tests.support.world import A, B, C, World, group, rule

D = ModelKey("shop", "pricing", "1")


def states(world: World, cooled: int = 0) -> dict[ModelKey, str]:
    """The state of each model that a rule saw."""
    state = world.state
    column = present_states(state.rules.values(), state.table, state.episode_index, cooled)
    assert column.dtype == np.int8
    assert len(column) == len(state.table)
    return {
        model: str(STATES[code])
        for model, code in zip(state.table.models, column.tolist(), strict=True)
        if code != UNSEEN
    }


def test_present_states_without_a_rule_or_model() -> None:
    assert states(World(group(rule()))) == {}


def test_present_states_of_healthy_and_degraded_models() -> None:
    """A degraded model without a request: an approval is missing for one, the rule is pending for the other."""
    world = World(group(rule(for_=HOUR)))
    world.tick({A: 0.1, B: 0.7})
    assert states(world) == {A: "healthy", B: "degraded"}


@pytest.mark.parametrize(
    ("report", "expected"),
    [("", "retrain_requested"), ("accepted", "retrain_requested"), ("running", "retraining")],
)
def test_present_states_follow_the_open_request(report: str, expected: str) -> None:
    world = World(group(rule()))
    world.tick({A: 0.7})
    if report:
        world.report(world.requests()[0].id, report)
    assert states(world) == {A: expected}


def test_present_states_of_requests_that_wait() -> None:
    """Approval and other gates are two states."""
    world = World(group(rule("Careful", approval=True)))
    world.tick({A: 0.7})
    assert states(world) == {A: "awaiting_approval"}
    paused = World(group(rule()))
    paused.commands.pause("", "", HOUR, "ada")
    paused.tick({A: 0.7})
    assert states(paused) == {A: "held"}


def test_present_states_in_a_cooldown() -> None:
    """All versions of the pipeline cool down, until `cooled` passes the end of the retraining."""
    world = World(group(rule(cooldown=HOUR)))
    world.tick({A: 0.7, C: 0.1, B: 0.1})
    world.report(world.requests()[0].id, "succeeded")
    world.tick({A: 0.1, C: 0.1, B: 0.1})
    ended = max(world.state.episode_index.last_end.values())
    assert states(world, ended - 1) == {A: "cooldown", C: "cooldown", B: "healthy"}
    assert states(world, ended) == {A: "healthy", C: "healthy", B: "healthy"}


def test_present_states_without_data() -> None:
    """A model whose every rule is inconclusive has no data; one conclusive rule is enough for a state."""
    world = World(group(rule()))
    world.tick({A: 0.1, B: 0.1})
    world.tick({A: 0.1})
    assert states(world) == {A: "healthy", B: "no_data"}


def test_counted_has_an_entry_for_every_state() -> None:
    codes = [UNSEEN, STATES.index(ModelState.HEALTHY), STATES.index(ModelState.HEALTHY), STATES.index(ModelState.HELD)]
    counts = counted(np.array(codes, np.int8))
    assert set(counts) == set(ModelState)
    assert (counts[ModelState.HEALTHY], counts[ModelState.HELD], sum(counts.values())) == (2, 1, 3)


def replaced(world: World, version: str = "8") -> None:
    """The retraining of A succeeds."""
    (record,) = world.requests()
    world.commands.report_status(StatusReport(record.id, RequestState.SUCCEEDED, world.now, new_version=version))


def test_a_version_that_was_replaced_needs_no_attention() -> None:
    """Before the new version reports, while it does, also when the old series no longer breach or report."""
    world = World(group(rule(cooldown=HOUR)))
    world.tick({A: 0.7})
    replaced(world)
    assert states(world) == {A: "replaced"}
    for old in (0.7, 0.1, math.nan):
        world.tick({A: old, C: 0.1})
        assert states(world, cooled=world.now) == {A: "replaced", C: "healthy"}


@pytest.mark.parametrize("version", ["", "7"])
def test_a_model_that_was_retrained_under_its_own_version_is_not_replaced(version: str) -> None:
    """It is the one that serves."""
    world = World(group(rule(cooldown=HOUR)))
    world.tick({A: 0.7})
    replaced(world, version)
    assert states(world) == {A: "degraded"}


def test_a_version_that_is_requested_again_is_not_called_replaced() -> None:
    """Its series still breach the rule after the cooldown."""
    world = World(group(rule(cooldown=10 * SECOND)), gates=Gates(settle=0, verdict_limit=20 * SECOND))
    world.tick({A: 0.7})
    replaced(world)
    for _ in range(4):
        world.tick({A: 0.7})
    assert len(world.requests()) == 2
    assert states(world) == {A: "retrain_requested"}


def test_a_version_that_was_rolled_back_to_counts_again() -> None:
    """After the recovery verdict, the new version no longer reports: the old one serves."""
    world = World(group(rule(cooldown=HOUR)), gates=Gates(settle=0, verdict_limit=20 * SECOND))
    world.tick({A: 0.7})
    replaced(world)
    for _ in range(2):
        world.tick({A: 0.7, C: 0.1})
    assert world.requests()[0].verdict == "inconclusive"
    assert states(world) == {A: "replaced", C: "cooldown"}
    world.tick({A: 0.7})
    assert states(world) == {A: "degraded", C: "no_data"}


def test_a_restart_keeps_what_was_replaced() -> None:
    """It is derived from the stored requests."""
    world = World(group(rule(cooldown=HOUR)))
    world.tick({A: 0.7})
    replaced(world)
    world.restart()
    world.tick({A: 0.7, C: 0.1})
    assert states(world) == {A: "replaced", C: "cooldown"}
