"""Steps of an evaluation: what is queried, in which order slots run, and what is reported."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import StoreError
from bridge.domain.times import SECOND
from bridge.engine.engine import Engine
from bridge.engine.evaluation.slots import plan
from bridge.engine.requests.episodes import EpisodeIndex, TickTransaction
from bridge.engine.steps import Tick, fetch, sameness
from tests.support.failing_store import FailingStore
from tests.support.world import DRIFT, QUERY_FAILED, A, World, group, rule


def tick_of(world: World, now: int) -> Tick:
    evaluator = world.state.groups["g"]
    slots = plan(evaluator.group, evaluator.last_slot, now, 3_600_000)
    assert slots is not None
    return Tick(evaluator, slots, TickTransaction(EpisodeIndex()), lambda: 0.0)


def test_missed_slots_come_before_the_present_one() -> None:
    """Only the last one is live."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    world.pass_slots({A: 0.2}, {A: 0.3})
    tick = tick_of(world, world.now)
    fetch(tick, world.source, 3_600_000)
    slots = list(tick.slots())
    assert [(slot, live) for slot, _, live in slots] == [(world.now - 10_000, False), (world.now, True)]
    assert len(tick.past["drift"]) == 1  # type: ignore[arg-type]


def test_an_error_of_the_source_is_an_answer() -> None:
    """It is reported with its reason, and the slot gets it."""
    world = World(group(rule()))
    world.say(QUERY_FAILED)
    tick = tick_of(world, world.now + 10_000)
    fetch(tick, world.source, 0)
    assert tick.answers == {"drift": QUERY_FAILED}
    assert [query.error for query in tick.queries] == ["unavailable"]


def test_queries_are_retried_until_the_next_slot() -> None:
    """A later query of the tick has what the earlier ones left, at a clock that shows 2 s more at every query."""
    world = World(group(rule("First"), rule("Second", query="errors")))
    world.now += 13 * SECOND
    seconds = iter(range(0, 1_000, 2))
    world.engine.evaluate("g", world.now, clock=lambda: next(seconds))
    assert world.source.retried == [3 * SECOND, 0]


def test_equal_expressions_share_one_query() -> None:
    """Two rules under other signal names, one query; each gets its batch under its own name."""
    one = replace(DRIFT, name="one")
    both = group(rule("First", query="one"), rule("Second", query="two"))
    world = World(replace(both, queries={"one": one, "two": replace(one, name="two")}))
    world.say({A: 0.7}, signal="one")
    report = world.tick()
    assert [query.name for query in report.queries] == ["one"]
    assert len(world.source.asked) == 1
    assert sorted(world.state.episode_index.episodes[A].rules) == ["First", "Second"]
    assert sameness(one) == sameness(replace(one, name="two"))


def test_the_engine_has_no_public_door_to_its_state() -> None:
    """Only the table and the generation, which need no lock."""
    world = World(group(rule()))
    public = {name for name in vars(world.engine) if not name.startswith("_")}
    assert public == {"table", "generation"}
    assert {name for name in vars(Engine) if not name.startswith("_")} == {
        "close", "configure", "evaluate", "pass_over", "read", "recover", "refresh", "restore_memory", "start",
        "transact",
    }  # fmt: skip


def test_the_change_of_a_rules_health_is_recorded_although_the_first_commit_fails() -> None:
    """The failed commit stored nothing, so the next one records the change and counts the failures anew."""
    store = FailingStore()
    world = World(group(rule()), store=store)
    world.tick({A: 0.1})
    for down in (QUERY_FAILED, None):
        world.source.down, store.refuses = down, True
        with pytest.raises(StoreError):
            world.tick({A: 0.1})
        store.refuses = False
        world.tick({A: 0.1})
    changes = [(item.before, item.after, item.repeats) for item in world.decisions() if item.model is None]
    assert changes == [("ok", "err", 0), ("err", "ok", 1)]
