"""Strategy state across restarts."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelKey
from bridge.domain.rule import Condition, Rule, StrategySpec
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.engine.state import strategy_state
from bridge.strategies import registry
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig
from tests.support.world import A, B, World, group, rule


class Streak(RetrainStrategy):
    """Strategy that is breached from the third value in a row above 0.5."""

    name = "streak"
    Config = StrategyConfig
    state_dtype = np.dtype([("count", np.int64)])

    def __init__(self, config: StrategyConfig) -> None:
        self.config = config

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        assert state is not None
        high = batch.values() > 0.5
        state["count"] = np.where(high, state["count"] + 1, 0)
        count = state["count"].astype(float)
        code = np.where(count >= 3, np.int8(Code.BREACHED), np.int8(Code.OK))
        return Verdicts(code, np.full(len(batch), Cause.NONE, np.int8), count, np.full(len(batch), 3.0))


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**registry.strategies(), "streak": Streak}
    monkeypatch.setattr(registry, "strategies", lambda: known)
    return


def streak(name: str = "Streak") -> Rule:
    return replace(rule(name), strategy=StrategySpec("streak", {}))


def both() -> Rule:
    conditions = (Condition("drift", StrategySpec("streak", {})), Condition("slow", StrategySpec("streak", {})))
    return rule("Both", limit=None, conditions=conditions, at_least=2)


def history(seed: int) -> list[dict[ModelKey, float]]:
    draw = random.Random(seed)
    return [{A: draw.choice([0.1, 0.9, 0.9]), B: draw.choice([0.1, 0.9, 0.9])} for _ in range(40)]


def story(world: World) -> list[tuple[object, ...]]:
    """Return the decisions in a fixed order: within a slot, theirs depends on the row of each model."""
    fields = ((item.slot, item.rule, item.model, item.before, item.after, item.statistic) for item in world.decisions())
    return sorted(fields, key=str)


@pytest.mark.parametrize("often", [True, False])
def test_restarts_anywhere_give_the_verdicts_of_an_uninterrupted_run(
    monkeypatch: pytest.MonkeyPatch, often: bool
) -> None:
    """This holds for state written in every slot, and for state written rarely and caught up from history."""
    monkeypatch.setattr(strategy_state, "SMALL", strategy_state.SMALL if often else 0)
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed + 1)
    straight, broken = World(group(streak(), both())), World(group(streak(), both()))
    for answer in history(seed):
        for world in (straight, broken):
            world.say(answer, signal="slow")
        straight.tick(answer)
        broken.tick(answer)
        if draw.random() < 0.4:
            broken.restart()
    assert story(broken) == story(straight)
    assert any(item[4] == "firing" for item in story(straight))


def test_a_slot_that_is_not_stored_is_not_remembered_either() -> None:
    """The state is committed with the decisions based on it."""
    world = World(group(streak()))
    world.tick({A: 0.9})
    (chunk,) = world.store.load(0).state
    assert (chunk.rule, chunk.slot, chunk.models) == ("Streak", world.now, (A,))
    assert np.frombuffer(chunk.data, Streak.state_dtype)["count"].tolist() == [1]


def test_the_memory_of_a_rule_that_is_gone_is_dropped() -> None:
    """After a reload, and after a restart with another rule file."""
    world = World(group(streak()))
    world.tick({A: 0.9})
    world.reconfigure(group(rule()))
    world.tick({A: 0.1})
    assert world.store.load(0).state == []
    world.reconfigure(group(streak()))
    world.tick({A: 0.9})
    world.group = group(rule())
    world.restart()
    world.tick({A: 0.1})
    assert world.store.load(0).state == []


def test_bytes_of_another_form_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer version of the strategy has more state: no crash, and no misread bytes."""
    world = World(group(streak()))
    for _ in range(2):
        world.tick({A: 0.9})
    monkeypatch.setattr(Streak, "state_dtype", np.dtype([("count", np.int64), ("more", np.float64)]))
    world.restart()
    world.tick({A: 0.9})
    assert world.requests() == []
