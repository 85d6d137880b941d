"""Expected models: stored, missing, replaced, retired; and verdicts during a warm-up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bridge.domain.batch import DISCOVER, EventBatch
from bridge.domain.model import ModelKey
from bridge.domain.rule import Breaches, Condition, Group, Rule, SignalQuery, StrategySpec
from bridge.domain.times import HOUR, MINUTE, SECOND
from bridge.domain.verdict import Cause
from bridge.engine.api.views import ModelView
from tests.engine.api.test_queries import queries
from tests.support.world import QUERY_FAILED, A, Answer, B, C, FixedRoutes, ScriptedSource, World, group, rule


def logged(world: World) -> list[tuple[ModelKey | None, str, str]]:
    return [(item.model, item.outcome.value, item.reason) for item in world.decisions()]


def test_a_model_that_was_seen_before_the_restart_is_missed_after_it() -> None:
    """Expected models are stored: the decision names a model that this process never saw."""
    world = World(group(rule()))
    world.tick({A: 0.1, B: 0.1})
    world.restart()
    world.tick({B: 0.1})
    assert logged(world) == [(A, "inconclusive", "inconclusive: no_data")]
    world.restart()
    world.tick({B: 0.1})
    assert len(logged(world)) == 1  # it is logged once


def test_no_data_can_be_a_breach() -> None:
    """`no_data: fire`: the missing model itself causes a request, and the reason says so."""
    world = World(group(rule(policies={Cause.NO_DATA: "fire"})))
    world.tick({A: 0.1, B: 0.1})
    world.tick({B: 0.1})
    (record,) = world.requests()
    text = "Drifted: drift is inconclusive: no_data, which this rule treats as a breach"
    assert (record.request.model, record.request.reason) == (A, text)


def test_no_data_can_be_healthy() -> None:
    """`no_data: ok`: a missing model resolves."""
    world = World(group(rule(policies={Cause.NO_DATA: "ok"})), routes=FixedRoutes(reporting=False))
    world.tick({A: 0.7})
    world.tick({B: 0.1})
    assert world.states() == [(A, "closed")]


def test_an_error_fires_only_for_models_that_the_rule_has_seen() -> None:
    """`query_error: fire` on two rules with different models."""
    world = World(group(rule("One", policies={Cause.QUERY_ERROR: "fire"}), rule("Other", query="errors", limit=0.1)))
    world.say({A: 0.1}, signal="drift")
    world.tick({B: 0.0}, signal="errors")
    world.say(QUERY_FAILED, signal="drift")
    world.tick({B: 0.0}, signal="errors")
    assert [item.request.model for item in world.requests()] == [A]


def test_a_version_that_stopped_is_replaced_by_the_one_that_came() -> None:
    """Its open episode ends as replaced; the newer version has its own state."""
    world = World(group(rule(), interval=MINUTE), routes=FixedRoutes(reporting=False))
    world.tick({A: 0.7, B: 0.1})
    world.tick({A: 0.7, B: 0.1, C: 0.1})
    for _ in range(6):
        world.tick({B: 0.1, C: 0.1})
    (record,) = world.requests()
    assert (record.state, record.message) == ("closed", "replaced")
    assert logged(world)[-1] == (A, "none", "replaced: drift no longer reports it")
    world.restart()
    world.tick({B: 0.1, C: 0.1})
    assert world.store.load(0).sightings[0].model != A
    assert {item.model for item in world.store.load(0).sightings} == {B, C}


def test_a_model_that_came_back_is_missing_no_longer() -> None:
    """It reports again, so nothing retires it later."""
    world = World(group(rule()))
    for answer in ({A: 0.1, B: 0.1}, {B: 0.1}, {A: 0.1, B: 0.1}):
        world.tick(answer)
    assert [item.missing_since for item in world.store.load(0).sightings] == [0, 0]


def test_a_successor_that_went_silent_too_replaces_no_version() -> None:
    """Both stopped: an outage, not a roll-out."""
    world = World(group(rule(), interval=MINUTE))
    world.tick({A: 0.7, B: 0.1})
    world.tick({A: 0.7, B: 0.1, C: 0.1})
    for _ in range(8):
        world.tick({B: 0.1})
    assert list(world.state.episode_index.episodes) == [A]


def test_a_canary_beside_the_old_version_replaces_no_version() -> None:
    """Both report, so both are evaluated."""
    world = World(group(rule(), interval=MINUTE))
    world.tick({A: 0.7})
    for _ in range(10):
        world.tick({A: 0.7, C: 0.1})
    assert list(world.state.episode_index.episodes) == [A]


def test_a_silent_version_without_a_successor_is_kept_until_it_is_retired() -> None:
    """It may come back: the default is a week, here it is an hour."""
    world = World(group(rule(), interval=10 * MINUTE), routes=FixedRoutes(reporting=False))
    world.change(retire_after=60 * MINUTE)
    world.tick({A: 0.7, B: 0.1})
    for _ in range(6):
        world.tick({B: 0.1})
    assert list(world.state.episode_index.episodes) == [A]
    world.tick({B: 0.1})
    assert (world.requests()[0].state, world.requests()[0].message) == ("closed", "retired")
    assert logged(world)[-1] == (A, "none", "retired: drift no longer reports it")
    assert [view.model for view in world_models(world)] == [B]


def test_a_version_may_be_retired_sooner_than_it_would_be_replaced() -> None:
    """`retire_after` counts, however short it is."""
    world = World(group(rule(), interval=10 * SECOND), routes=FixedRoutes(reporting=False))
    world.change(retire_after=30 * SECOND)
    world.tick({A: 0.7, B: 0.1})
    for _ in range(3):
        world.tick({B: 0.1})
    assert list(world.state.episode_index.episodes) == [A]
    world.tick({B: 0.1})
    assert world.state.episode_index.episodes == {}


def world_models(world: World) -> list[ModelView]:
    return list(queries(world).models_by_name().models)


def test_a_partial_answer_makes_no_model_missing() -> None:
    """A response that may be incomplete proves nothing about absent models."""
    world = World(group(rule()))
    world.tick({A: 0.1, B: 0.1})
    world.source.partial = True
    world.tick({B: 0.1})
    assert [item.missing_since for item in world.store.load(0).sightings] == [0, 0]


def test_a_discovered_model_that_never_reported_is_missed() -> None:
    """The discover expression returns it, but the signal has no sample for it."""
    world = World(group(rule()))
    whole = type(world.source).instant

    def discovering(self: ScriptedSource, query: SignalQuery, slot: int, at: int, _: int | None) -> EventBatch:
        batch = whole(self, query, slot, at)
        models = [*batch.index.tolist(), self.table.row(C)]
        value = np.append(batch.columns["value"], np.nan)
        columns = {"value": value, DISCOVER: np.ones(len(models))}
        return EventBatch(
            batch.name, batch.event, slot, self.table, np.array(models, np.int32), columns, elements=len(models),
            series=[b"{}"] * len(models),
        )  # fmt: skip

    world.source.instant = discovering.__get__(world.source)  # type: ignore[method-assign]
    world.tick({A: 0.1})
    world.tick({A: 0.1})
    assert logged(world) == [(C, "inconclusive", "inconclusive: no_data")]


def test_a_new_version_warms_up_before_it_is_judged() -> None:
    """Models in the first response are exempt; a later one waits for the warm-up."""
    world = World(group(rule(warm_up=30 * SECOND)))
    world.tick({A: 0.1})
    for _ in range(3):
        world.tick({A: 0.1, B: 0.9})
    assert world.requests() == []
    assert logged(world)[0] == (B, "inconclusive", "inconclusive: warming_up")
    world.tick({A: 0.7, B: 0.9})
    assert [item.request.model for item in world.requests()] == [A, B]


def test_three_of_five_slots_fire_and_too_few_resolve() -> None:
    """Flapping that `for` never detects; a restart in the middle loses no counts."""
    world = World(group(rule(breaches=Breaches(3, 5))), routes=FixedRoutes(reporting=False))
    for value in (0.7, 0.1, 0.7, 0.1):
        world.tick({A: value})
    assert world.requests() == []
    world.restart()
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert record.request.reason == "Drifted: drift 0.7 above 0.6, breached in 3 of the last 5 slots"
    world.tick({A: 0.1})
    assert world.states() == [(A, "closed")]


def test_a_slot_without_a_number_is_none_of_the_last_five() -> None:
    """Errors neither fill nor empty the window."""
    world = World(group(rule(breaches=Breaches(2, 2))))
    for answer in ({A: 0.7}, QUERY_FAILED, QUERY_FAILED, {A: 0.7}):
        world.tick(answer)
    assert [item.request.model for item in world.requests()] == [A]


def test_what_n_of_m_remembers_is_forgotten_when_it_is_blank() -> None:
    """A quiet model has no row in the store."""
    world = World(group(rule(breaches=Breaches(2, 3))))
    world.tick({A: 0.7})
    assert [row.recent for row in world.store.load(0).alerts] == [1]
    for _ in range(3):
        world.tick({A: 0.1})
    assert world.store.load(0).alerts == []


DRIFTS = Condition("drift", StrategySpec("threshold", {"max": 0.6}))
SLOW = Condition("lat", StrategySpec("threshold", {"max": 0.2}))


def either(**more: object) -> Rule:
    return rule("Any", query="drift", limit=None, conditions=(DRIFTS, SLOW), at_least=1, **more)


def slot(world: World, drift: Answer, lat: Answer) -> None:
    world.say(drift, signal="drift")
    world.say(lat, signal="lat")
    world.tick()


def test_a_model_leaves_a_composite_rule_when_no_signal_of_it_reports_it() -> None:
    """One of two signals has a successor: the episode continues with one request."""
    world = World(group(either()), routes=FixedRoutes(reporting=False))
    slot(world, {A: 0.9}, {A: 0.1})
    slot(world, {A: 0.9}, {A: 0.1, C: 0.1})
    for _ in range(35):
        slot(world, {A: 0.9}, {C: 0.1})
    assert world.states() == [(A, "requested")]
    assert not [reason for _, _, reason in logged(world) if reason.startswith("replaced")]


def test_a_replaced_version_stays_replaced_after_a_restart() -> None:
    """With `no_data: fire`, and signals that lost it at different times."""
    for restart in (False, True):
        world = World(group(either(policies={Cause.NO_DATA: "fire"}, for_=HOUR)))
        slot(world, {A: 0.1}, {A: 0.1})
        slot(world, {A: 0.1, C: 0.1}, {A: 0.1, C: 0.1})
        for _ in range(20):
            slot(world, {A: 0.1, C: 0.1}, {C: 0.1})
        for _ in range(40):
            slot(world, {C: 0.1}, {C: 0.1})
        if restart:
            world.restart()
        slot(world, {C: 0.1}, {C: 0.1})
        assert [row.model for row in world.store.load(0).alerts] == []


def test_another_expression_expects_its_own_models() -> None:
    """The signal was edited: models of the old one are not expected by the new one."""
    world = World(group(rule(policies={Cause.NO_DATA: "fire"})))
    world.tick({A: 0.1})
    changed = group(rule(policies={Cause.NO_DATA: "fire"}))
    queries_ = {"drift": replace(changed.queries["drift"], exprs={"value": "model_drift{env='prod'}"})}
    world.reconfigure(replace(changed, queries=queries_))
    world.tick({B: 0.1})
    assert world.requests() == []
    assert {item.model for item in world.store.load(0).sightings} == {B}


def discovering_group() -> Group:
    """Return a group whose signal has a discover expression."""
    made = group(rule(), interval=MINUTE)
    exprs = {"value": "model_drift", DISCOVER: "model_deployed"}
    return replace(made, queries={"drift": replace(made.queries["drift"], exprs=exprs)})


def discovers(world: World, model: ModelKey, listed: list[bool]) -> None:
    """Let the discover expression list `model` while `listed` is not empty."""
    whole = type(world.source).instant

    def discovering(self: ScriptedSource, query: SignalQuery, slot: int, at: int, _: int | None) -> EventBatch:
        batch = whole(self, query, slot, at)
        named = self.table.row(model)
        models = [*batch.index.tolist(), *([named] if listed and named not in batch.index else [])]
        value = np.append(batch.columns["value"], [np.nan] * (len(models) - len(batch)))
        columns = {"value": value, DISCOVER: np.ones(len(models))}
        index = np.array(models, np.int32)
        return EventBatch(batch.name, batch.event, slot, self.table, index, columns, series=[b"{}"] * len(models))

    world.source.instant = discovering.__get__(world.source)  # type: ignore[method-assign]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_discovered_version_that_was_replaced_is_not_missed_again(restarts: bool) -> None:
    """The discover expression still returns it; a process that takes over knows that it was replaced."""
    world = World(discovering_group())
    discovers(world, A, [True])
    world.tick({A: 0.1})
    world.tick({A: 0.1, C: 0.1})
    for _ in range(20):
        world.tick({C: 0.1})
    for _ in range(3):
        if restarts:
            world.restart()
            discovers(world, A, [True])
        world.tick({C: 0.1})
    reasons = [reason for model, _, reason in logged(world) if model == A]
    assert reasons == ["inconclusive: no_data", "replaced: drift no longer reports it"]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_retired_model_that_discover_lists_again_later_is_expected_again(restarts: bool) -> None:
    """It is forgotten once discover has not listed it for as long as it takes to retire a model."""
    world = World(discovering_group())
    listed = [True]
    discovers(world, A, listed)
    world.tick({A: 0.1})
    world.tick({A: 0.1, C: 0.1})
    world.change(retire_after=30 * MINUTE)
    for _ in range(20):
        world.tick({C: 0.1})
    listed.clear()
    for _ in range(32):
        world.tick({C: 0.1})
    assert {item.model for item in world.store.load(0).sightings} == {C}
    if restarts:
        world.restart()
        discovers(world, A, listed)
    listed.append(True)
    for _ in range(2):
        world.tick({C: 0.1})
    reasons = [reason for model, _, reason in logged(world) if model == A]
    assert reasons == ["inconclusive: no_data", "replaced: drift no longer reports it", "inconclusive: no_data"]


def test_a_signal_without_discover_keeps_no_retired_models() -> None:
    """Only `discover` could make them expected again."""
    world = World(group(rule(), interval=MINUTE))
    world.tick({A: 0.1})
    world.tick({A: 0.1, C: 0.1})
    for _ in range(20):
        world.tick({C: 0.1})
    assert {item.model for item in world.store.load(0).sightings} == {C}
    assert world.state.groups["g"].expected_models["drift"].live.retired == {}
