"""Evaluation times, measured through the real engine and the API."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.rule import Condition, Group, SignalQuery, StrategySpec
from bridge.domain.times import SECOND, Timestamp
from bridge.engine.api.queries import EngineQueries
from tests.support.web_app import Site
from tests.support.world import QUERY_FAILED, A, B, ScriptedSource, World, group, rule

SLOW = 0.05


@dataclass
class SlowSource(ScriptedSource):
    """Source that takes SLOW seconds for each query of the signal `slow`."""

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: int | None = None) -> EventBatch:
        ends = perf_counter() + (SLOW if query.exprs["value"] == "slow" else 0)
        while perf_counter() < ends:
            pass
        return super().instant(query, slot, at)


def world_of(group: Group) -> World:
    world = World(group)
    world.change(source=SlowSource(world.engine.table, world.script))
    return world


def times(world: World) -> tuple[float, dict[str, float]]:
    """Return the seconds of the group, and of its rules by name."""
    queries = EngineQueries(
        world.engine, world.store, world.store, world.store, configured=list, why_not_ready=str, configuration=str,
        now=lambda: world.now,
    )  # fmt: skip
    answer: Any = Site(queries=queries).data("/api/v1/rules")
    (found,) = answer["groups"]
    return found["evaluationTime"], {item["name"]: item["evaluationTime"] for item in found["rules"]}


TWO = group(rule("Slow", query="slow"), rule("Quick", query="quick"))


def test_rules_and_groups_have_their_evaluation_time() -> None:
    """A rule counts its queries and its evaluation, the group everything; 0 before the first evaluation."""
    world = world_of(TWO)
    assert times(world) == (0, {"Slow": 0, "Quick": 0})
    world.say({A: 0.1}, signal="quick")
    world.tick({A: 0.7, B: 0.1}, signal="slow")
    whole, rules = times(world)
    assert rules["Slow"] > SLOW
    assert rules["Quick"] > 0
    assert sum(rules.values()) <= whole


@pytest.mark.parametrize("answer", [{}, QUERY_FAILED], ids=["no model", "no answer"])
def test_an_evaluation_without_a_sample_takes_its_time_as_well(answer: dict[Any, float] | SourceError) -> None:
    """The query was still executed."""
    world = world_of(TWO)
    world.tick(answer, signal="slow")
    assert times(world)[1]["Slow"] > SLOW


def test_a_query_that_rules_share_counts_for_each() -> None:
    """Under one name or two: no rule could be evaluated before the response."""
    shared = group(rule("One", query="slow"), rule("Two", query="again"))
    same = replace(shared.queries["slow"], name="again")
    world = world_of(replace(shared, queries={**shared.queries, "again": same}))
    world.tick({A: 0.7}, signal="slow")
    whole, rules = times(world)
    assert min(rules.values()) > SLOW
    assert whole < sum(rules.values()), "asked once"


def test_conditions_on_several_signals_count_all_of_them() -> None:
    """A catch-up evaluation also counts its range queries."""
    both = (
        Condition("slow", StrategySpec("threshold", {"max": 0.6})),
        Condition("quick", StrategySpec("threshold", {"max": 0.6})),
    )
    world = world_of(group(rule("Both", query="slow", conditions=both, at_least=2)))
    world.tick({A: 0.7}, signal="slow")
    assert times(world)[1]["Both"] > SLOW
    world.pass_slots({}, {})
    world.tick()
    assert times(world)[1]["Both"] > 3 * SLOW


def test_it_stays_over_a_reload() -> None:
    """An unchanged rule keeps its evaluation time."""
    world = world_of(TWO)
    world.tick({A: 0.7}, signal="slow")
    before = times(world)
    world.reconfigure(replace(TWO, rules=tuple(replace(item, for_=SECOND) for item in TWO.rules)))
    assert times(world) == before
