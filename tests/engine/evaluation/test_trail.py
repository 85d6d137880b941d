"""Trails: the recorded samples and limits of the last slots."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bridge.domain.errors import StoreFullError
from bridge.domain.model import ModelKey
from bridge.domain.rule import StrategySpec
from bridge.domain.times import SECOND
from bridge.domain.verdict import Verdicts
from bridge.engine.api.queries import EngineQueries
from bridge.engine.api.views import TrailView
from bridge.engine.evaluation.trail import Trail, Trails, TrailWindow
from tests.support.world import QUERY_FAILED, A, B, C, World, group, rule


def fleet(count: int) -> list[ModelKey]:
    return [ModelKey("shop", f"p{number}", "1") for number in range(count)]


def world_of(*rules: object) -> World:
    return World(group(*(rules or (rule(),))), trails=Trails())  # type: ignore[arg-type]


def trail(world: World, model: object = A, name: str = "Drifted", last: int = 0) -> TrailView:
    queries = EngineQueries(
        world.engine, world.store, world.store, world.store, configured=list, why_not_ready=str, configuration=str,
        now=lambda: world.now,
    )  # fmt: skip
    (window,) = queries.trails([model], last)  # type: ignore[list-item]
    return window[name]


def shown(numbers: object) -> list[float | None]:
    return [None if math.isnan(number) else round(number, 4) for number in numbers]  # type: ignore[attr-defined]


def test_a_trail_is_what_was_seen_slot_by_slot() -> None:
    """Sample, limit and alert state; NaN for a failed query or an absent model."""
    world = world_of(rule(for_=10 * SECOND))
    for answer in ({A: 0.1, B: 0.1}, {A: 0.7}, QUERY_FAILED, {A: 0.8, B: math.nan}, {A: 0.9}):
        world.tick(answer)
    window = trail(world)
    assert shown(window.value) == [0.1, 0.7, None, 0.8, 0.9]
    assert shown(window.threshold) == [0.6, 0.6, None, 0.6, 0.6]
    assert window.state == [0, 1, 1, 2, 2]
    assert list(window.slots) == [world.now - steps * 10 * SECOND for steps in (4, 3, 2, 1, 0)]
    assert shown(trail(world, B).value) == [0.1, None, None, None, None]
    assert shown(trail(world, last=2).value) == [0.8, 0.9]


def test_a_tick_that_could_not_be_stored_leaves_no_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that is not committed is not recorded."""
    world = world_of()
    world.tick({A: 0.1})

    def broken(_: object) -> None:
        raise StoreFullError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "commit", broken)
        with pytest.raises(StoreFullError):
            world.tick({A: 0.2})
    world.tick({A: 0.3})
    assert shown(trail(world).value)[0] == 0.1
    assert 0.2 not in shown(trail(world).value)


def test_models_that_come_later_have_no_past() -> None:
    """Other models keep their numbers, also when the buffer grows."""
    world = world_of()
    world.tick({A: 0.1})
    many = fleet(200)
    world.tick({A: 0.2, **dict.fromkeys(many, 0.3)})
    assert shown(trail(world).value) == [0.1, 0.2]
    assert shown(trail(world, many[-1]).value) == [None, 0.3]


def test_the_band_is_what_the_detector_takes_as_usual() -> None:
    """The band is three robust sigmas around the level, in the signal's unit, never below 0 for a ratio."""
    fixed = {"reference": "fixed", "level": 0.1, "spread": 0.05, "whiten": False, "transform": "none"}
    world = world_of(replace(rule(), strategy=StrategySpec("ewma", {"standardise": fixed})))
    world.tick({A: 0.11})
    window = trail(world)
    assert shown(window.lower) == [0.0]
    assert shown(window.upper) == [0.25]
    assert shown(trail(world_with_threshold()).lower) == [None]


def world_with_threshold() -> World:
    world = world_of()
    world.tick({A: 0.1})
    return world


def test_the_ring_keeps_the_newest_slots_and_its_budget() -> None:
    """The buffer equals a list of the last slots; more models mean fewer slots."""
    world = world_of()
    trails = Trail(budget=13 * 80 * 10, shortest=2)
    noted: list[tuple[int, float]] = []
    for step in range(35):
        world.tick({A: step / 100, B: 0.1} if step < 20 else {A: step / 100, **dict.fromkeys(fleet(80), 0.1)})
        trails.note(world.rule("Drifted"), world.state.groups["g"].evaluations["Drifted"])
        noted.append((world.now, step / 100))
        course = trails.course([world.engine.table.row(A), 10_000])
        kept = len(course.slots)
        assert course.slots.tolist() == [slot for slot, _ in noted[-kept:]]
        assert np.allclose(course.value[:, 0], [value for _, value in noted[-kept:]])
        assert np.isnan(course.value[:, 1]).all()
        assert kept == min(step + 1, 12) if step < 20 else kept <= 12
    assert kept == 7


def test_all_trails_share_one_budget() -> None:
    """Each rule keeps its share; a rule that is added takes part of it from the next slot."""
    trails = Trails(budget=13 * 64 * 20)
    world = World(group(rule("First")), trails=trails)
    for _ in range(22):
        world.tick(dict.fromkeys(fleet(40), 0.1))
    assert len(trails.course("First", [0]).slots) == 20
    world.reconfigure(group(rule("First"), rule("Second")))
    for _ in range(12):
        world.tick(dict.fromkeys(fleet(40), 0.2))
    windows = [trails.course(name, [0, 39]) for name in ("First", "Second")]
    assert [len(window.slots) for window in windows] == [10, 10]
    assert all(np.allclose(window.value, 0.2) for window in windows)
    assert windows[0].slots.tolist() == windows[1].slots.tolist()


def test_a_band_that_comes_later_keeps_what_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffer has no room for bands until a strategy has one."""
    world = world_of()
    world.tick({A: 0.1})
    monkeypatch.setattr(Verdicts, "band", lambda _: (np.array([-1.0]), np.array([2.0])))
    world.tick({A: 0.2})
    window = trail(world)
    assert shown(window.value) == [0.1, 0.2]
    assert (shown(window.lower), shown(window.upper)) == ([None, 0.0], [None, 2.0])


def test_a_rule_of_another_meaning_begins_a_new_trail() -> None:
    """An unchanged rule keeps its trail; the trail of a removed rule is dropped."""
    world = world_of()
    world.tick({A: 0.1})
    world.reconfigure(group(rule(labels={"team": "ml"})))
    world.tick({A: 0.2})
    assert shown(trail(world).value) == [0.1, 0.2]
    world.reconfigure(group(rule(limit=0.9)))
    world.tick({A: 0.3})
    assert shown(trail(world).value) == [0.3]
    world.reconfigure(group(rule("Other")))
    world.tick({A: 0.4})
    assert world.trails is not None
    assert len(world.trails.course("Drifted", [0]).slots) == 0


def test_a_band_that_fails_costs_the_picture_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The slot is already stored, and the next one is evaluated normally."""

    def broken(_: object) -> None:
        raise ZeroDivisionError("a plug-in's mistake")

    monkeypatch.setattr(Verdicts, "band", broken)
    world = world_of()
    world.tick({A: 0.1})
    world.tick({A: 0.7})
    assert [record.request.model for record in world.requests()] == [A]
    assert "could not be recorded" in caplog.text


def test_nothing_remembered_is_an_empty_course() -> None:
    """It is empty for an engine without trails and for unknown models."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    with pytest.raises(KeyError):
        trail(world)
    kept = world_of()
    kept.tick({A: 0.1})
    with pytest.raises(KeyError):
        trail(kept, C)
    course: TrailWindow = Trail().course([1, 2])
    assert (course.value.shape, course.state.shape) == ((0, 2), (0, 2))


def test_models_absent_from_a_result_have_no_value() -> None:
    """An expression returns only breached models: a gap is not a constant value."""
    world = world_of(rule(limit=None))
    for answer in ({A: 3.0, B: 1.0}, {B: 2.0}, {}, {A: 4.0}):
        world.tick(answer)
    assert shown(trail(world).value) == [3.0, None, None, 4.0]
    assert shown(trail(world, B).value) == [1.0, 2.0, None, None]


def test_a_rule_that_was_not_evaluated_leaves_no_point() -> None:
    """Nothing is recorded."""
    kept, world = Trails(), world_of()
    kept.note([world.rule("Drifted")], {})
    assert len(kept.course("Drifted", [0]).slots) == 0


def test_a_rule_that_has_seen_no_model_leaves_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """This is the normal state of a pasted alert. Its first model has NaN in earlier slots."""
    world = world_of(rule(limit=None))
    for answer in ({}, {}, {A: 0.7}):
        world.tick(answer)
    assert [record.message for record in caplog.records] == []
    assert shown(trail(world).value) == [None, None, 0.7]
