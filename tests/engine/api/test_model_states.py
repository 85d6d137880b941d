"""Present state of every model as one column."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.model import ModelKey
from bridge.domain.times import HOUR
from bridge.engine.api.model_states import STATES, UNSEEN, counted, present_states
from bridge.engine.api.views import ModelState
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
