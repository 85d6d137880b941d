"""What is said of models without a verdict, or with one that does not detect everything yet: until when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.rule import Condition, StrategySpec
from bridge.domain.times import HOUR, SECOND, rfc3339
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.engine.api.explain import Explainer
from bridge.engine.state import backfill
from bridge.strategies import registry
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig
from tests.engine.api.test_queries import queries
from tests.support.world import A, B, World, group, rule

SLOT = 10 * SECOND


class Slow(RetrainStrategy):
    """Strategy with a verdict from the 60th sample on, of which up to 40 may be history."""

    name = "slow"
    Config = StrategyConfig
    state_dtype = np.dtype([("count", np.int64)])
    history = 40 * SLOT
    warm_up = 60 * SLOT

    def __init__(self, config: StrategyConfig) -> None:
        self.config = config

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        assert state is not None
        state["count"] += 1
        verdicts = Verdicts.inconclusive(len(batch), Cause.WARMING_UP)
        known = state["count"] >= 60
        verdicts.code[known], verdicts.cause[known] = Code.OK, Cause.NONE
        return verdicts


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**registry.strategies(), "slow": Slow}
    monkeypatch.setattr(registry, "strategies", lambda: known)


def begun(slots: int = 50) -> World:
    """Return a world with unread history of A; B is only in its first half."""
    world = World(group(replace(rule(), strategy=StrategySpec("slow", {}))))
    world.pass_slots(*[{A: 0.1, B: 0.1}] * (slots // 2), *[{A: 0.1}] * (slots - slots // 2))
    return world


def answer(world: World) -> str:
    explained = Explainer(world.engine, world.store, lambda _: "http://p:9090").explain(A, "", 0)
    return explained[0].answer.removeprefix("verdict: inconclusive: warming_up; the state is kept; ")


def expected(at: int) -> str:
    return f"nothing can be seen yet: verdicts are expected from {rfc3339(at)} on, after 10m of values"


def test_history_is_part_of_the_warm_up() -> None:
    """40 samples were read, so 20 slots are left."""
    world = begun()
    world.tick({A: 0.1})
    assert answer(world) == expected(world.now + 20 * SLOT)
    for _ in range(20):
        world.tick({A: 0.1})
    assert answer(world).startswith("verdict: ok")


def test_while_history_is_read_no_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warm-up may be over when it has been read."""

    def limited(interval: int, clock: object) -> Callable[[], bool]:
        remaining = iter(range(14))
        return lambda: next(remaining, None) is None

    monkeypatch.setattr(backfill, "time_budget", limited)
    world = begun()
    began = world.now
    world.tick({A: 0.1})
    reached = rfc3339(began - 25 * SLOT)
    assert answer(world) == f"the bridge is still reading the history of this signal; it has reached {reached}"
    for _ in range(2):
        world.tick({A: 0.1})
    assert answer(world) == expected(began + 21 * SLOT)


def test_a_restart_does_not_begin_the_warm_up_again() -> None:
    """Not even if several follow."""
    world = begun(slots=0)
    world.tick({A: 0.1})
    end = world.now + 60 * SLOT
    for _ in range(3):
        world.restart()
        world.tick({A: 0.1})
        assert answer(world) == expected(end)


def test_models_that_are_only_in_history_are_not_reported() -> None:
    """B has values of longer ago than a day, and no verdict; but it is not expected to report."""
    world = World(group(replace(rule(), strategy=StrategySpec("slow", {})), interval=HOUR))
    Slow.history, history = 40 * HOUR, Slow.history
    try:
        world.pass_slots(*[{A: 0.1, B: 0.1}] * 10, *[{A: 0.1}] * 28)
        world.tick({A: 0.1})
        assert queries(world).never_judged() == [("g", "Drifted", 1)]
    finally:
        Slow.history = history


def detects(world: World, at: int = 0) -> str:
    (found,) = Explainer(world.engine, world.store, lambda _: "http://p:9090").explain(A, "", at)
    return found.detects


def test_a_model_with_verdicts_states_what_is_not_detected_yet() -> None:
    """Now, and at a past instant as of then; nothing while there is no verdict, or no value."""
    world = World(group(replace(rule(), strategy=StrategySpec("auto", {})), interval=HOUR))
    for hour in range(11):
        world.tick({A: 0.1 + 0.01 * (hour % 3)})
        assert detects(world).startswith("detects sudden changes so far; unusual values from ") == (hour >= 5)
    assert detects(world, world.now) == detects(world)
    assert detects(world, world.now - 7 * HOUR) == ""
    world.tick({B: 0.1})
    assert detects(world) == ""


def test_a_condition_that_does_not_detect_everything_is_named_by_its_signal() -> None:
    """The other one has a limit, which detects everything at once."""
    conditions = (
        Condition("drift", StrategySpec("auto", {})), Condition("errors", StrategySpec("threshold", {"max": 0.5})),
    )  # fmt: skip
    world = World(group(rule("Both", limit=None, conditions=conditions, at_least=2), interval=HOUR))
    for hour in range(10):
        world.say({A: 0.1 + 0.01 * (hour % 3)})
        world.tick({A: 0.1}, signal="errors")
    assert detects(world).startswith("drift: detects sudden changes so far; unusual values from ")


def test_a_strategy_that_states_nothing_detects_everything() -> None:
    world = World(group(rule()))
    world.tick({A: 0.1})
    assert detects(world) == ""
