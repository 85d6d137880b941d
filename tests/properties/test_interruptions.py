"""Whatever interrupts the bridge, its transitions are those of a run that nothing interrupted."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bridge.domain.errors import SourceError, StoreError
from bridge.domain.model import ModelKey
from bridge.domain.request import Outcome
from bridge.domain.rule import Breaches, Condition, Group, StrategySpec
from bridge.domain.times import SECOND
from bridge.domain.verdict import Cause
from bridge.ports import Store
from tests.support.failing_store import FailingStore
from tests.support.world import QUERY_FAILED, A, B, FixedRoutes, World, group, rule

Values = tuple[float | None, float | None]
History = list[Values]
VALUES = st.sampled_from([0.1, 0.55, 0.7, 0.9, None])
SLOTS = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=25)
# What happens at each slot: it is evaluated, evaluated after a restart, or not evaluated (down or overrun).
FATES = st.lists(st.sampled_from(["tick", "tick", "restart", "down", "down"]), min_size=25, max_size=25)


def rules() -> Group:
    slow = Condition("slow", StrategySpec("threshold", {"max": 0.6, "clear": 0.3}))
    drifts = Condition("drift", StrategySpec("threshold", {"max": 0.6}))
    return group(
        rule("Signal", for_=20 * SECOND, keep_firing_for=10 * SECOND),
        rule("Plain", query="plain", limit=None, labels={"level": "{{ $value }}"}),
        rule("Often", query="slow", breaches=Breaches(2, 4)),
        rule("Both", query="drift", limit=None, conditions=(drifts, slow), at_least=2, for_=10 * SECOND),
        rule("Silent", query="slow", limit=0.95, policies={Cause.NO_DATA: "fire"}, for_=30 * SECOND),
    )


def answer(values: Values) -> dict[ModelKey, float]:
    return {model: value for model, value in zip((A, B), values, strict=True) if value is not None}


def world_of(history: History, store: Store | None = None) -> World:
    """A world whose whole future is written down."""
    world = World(rules(), store=store, routes=FixedRoutes(reporting=False))
    for number, values in enumerate(history, 1):
        at = world.now + number * world.group.interval
        high = {model: value for model, value in answer(values).items() if value > 0.6}
        world.say(answer(values), signal="drift", at=at)
        world.say(high, signal="plain", at=at)
        world.say({model: 1.2 - value for model, value in answer(values).items()}, signal="slow", at=at)
    return world


def story(world: World) -> tuple[Sequence[object], ...]:
    """Episodes, requests and transitions, without what lateness may change."""
    seen = sorted((item.signal, item.model, item.missing_since) for item in world.store.load(0).sightings)
    requests = [
        (record.id, record.request.rule, record.request.episode_start, record.request.triggered_at)
        for record in sorted(world.requests(), key=lambda record: record.id)
    ]
    load = world.store.load(0)
    episodes = sorted((item.model, item.started_at, item.ended_at, item.rules) for item in load.episodes)
    rows = sorted(
        (row.rule, row.model, row.state, row.active_at, row.fired_at, row.keep_since, row.recent) for row in load.alerts
    )
    return requests, episodes, rows, seen


@given(SLOTS, FATES)
def test_any_split_into_ticks_restarts_and_gaps_gives_the_same_episodes(history: History, fates: list[str]) -> None:
    """The same request ids, episode starts and ends, and life-cycle rows; missed ones are named, not sent."""
    straight, broken = world_of(history), world_of(history)
    for _ in history:
        straight.tick()
    for number, fate in enumerate(fates[: len(history)], 1):
        if fate == "restart":
            broken.restart()
        if fate == "down" and 1 < number < len(history):  # a first start has nothing to catch up
            broken.now += broken.group.interval
            broken.restart()
        else:
            broken.tick()
    assert story(broken) == story(straight)
    for record in broken.requests():
        sent = bool(broken.store.deliveries(record.id))
        assert sent == (record.state.value != "missed")


def seen(world: World) -> Counter[str]:
    """What the decision log says that rules saw in each slot, without what lateness may change."""
    rows = (structs.replace(item, id=0, outcome=Outcome.NONE, reason="", request_id="") for item in world.decisions())
    return Counter(repr(row) for row in rows if row.query)  # a row about a request has no query


@given(SLOTS, FATES, st.lists(st.booleans(), min_size=25, max_size=25))
def test_restarts_change_no_row_of_the_decision_log(history: History, fates: list[str], failing: list[bool]) -> None:
    """Nothing is logged twice or left out, also where queries fail."""
    straight, broken = world_of(history), world_of(history)
    for world in (straight, broken):
        for number, fails in enumerate(failing[: len(history)], 1):
            if fails and number % 3 == 0:
                world.say(QUERY_FAILED, signal="drift", at=world.now + number * world.group.interval)
    for fate in fates[: len(history)]:
        straight.tick()
        if fate != "tick":
            broken.restart()
        broken.tick()
    logs = [sorted(repr(structs.replace(item, id=0)) for item in world.decisions()) for world in (broken, straight)]
    assert logs[0] == logs[1]


@given(SLOTS, FATES)
def test_late_slots_change_no_row_about_what_rules_saw(history: History, fates: list[str]) -> None:
    """Only when a request is decided may differ."""
    straight, broken = world_of(history), world_of(history)
    for number, fate in enumerate(fates[: len(history)], 1):
        straight.tick()
        if fate == "down" and 1 < number < len(history):
            broken.now += broken.group.interval
            broken.restart()
        else:
            broken.tick()
    assert seen(broken) == seen(straight)


def kept_by(world: World) -> tuple[Sequence[object], ...]:
    """Everything that is stored, and the labels of alerts in memory, in an order that does not depend on restarts."""
    decisions = sorted(repr(structs.replace(item, id=0)) for item in world.decisions())
    run = world.rule("Plain")
    rows = np.flatnonzero(run.live.alerts.state).tolist()
    labels = sorted((run.table[row], run.alert_labels(row)) for row in rows)
    requests = sorted((record.request for record in world.requests()), key=lambda request: request.id)
    return *story(world), decisions, labels, requests


@given(SLOTS, FATES)
def test_evaluations_that_are_not_stored_leave_no_trace(history: History, fates: list[str]) -> None:
    """A process that goes on after a failed commit stores the same as one that loads its state again."""
    stores = (FailingStore(), FailingStore())
    kept, loaded = (world_of(history, store) for store in stores)
    for fate in fates[: len(history)]:
        for world, store in zip((kept, loaded), stores, strict=True):
            store.refuses = fate == "down"
            with contextlib.suppress(StoreError):
                world.tick()
        if fate == "down":
            loaded.restart()
        assert kept_by(kept) == kept_by(loaded)


@given(SLOTS, st.randoms())
def test_failing_slots_freeze_and_never_resolve(history: History, random: Random) -> None:
    """With failures injected anywhere, no episode ends in a slot whose query failed."""
    world = World(group(rule("Signal")), routes=FixedRoutes(reporting=False))
    failed: set[int] = set()
    for values in history:
        if random.random() < 0.4:
            world.tick(QUERY_FAILED)
            failed.add(world.now)
        else:
            world.tick(answer(values))
    ends = {item.ended_at for item in world.store.load(0).episodes if item.ended_at}
    starts = {item.started_at for item in world.store.load(0).episodes}
    assert not (ends | starts) & failed


@given(SLOTS)
def test_adding_a_model_never_changes_anothers_decisions(history: History) -> None:
    """Model A's story is the same with and without B beside it."""
    both = world_of(history)
    alone = world_of([(first, None) for first, _ in history])
    for _ in history:
        both.tick()
        alone.tick()
    told = [decision for decision in both.decisions() if decision.model == A]
    assert told == [decision for decision in alone.decisions() if decision.model == A]


@given(SLOTS, st.randoms())
def test_the_order_of_series_in_an_answer_does_not_matter(history: History, random: Random) -> None:
    """However Prometheus orders its answer, requests, episodes and rows are the same."""
    straight, shuffled = world_of(history), world_of(history)
    for key, said in shuffled.script.items():
        assert not isinstance(said, SourceError)
        models = list(said)
        random.shuffle(models)
        shuffled.script[key] = {model: said[model] for model in models}
    for _ in history:
        straight.tick()
        shuffled.tick()
    assert story(shuffled) == story(straight)


@given(SLOTS, FATES)
def test_reloads_that_change_no_meaning_change_no_story(history: History, fates: list[str]) -> None:
    """Other annotations in the middle of an episode: state goes on."""
    straight, edited = world_of(history), world_of(history)
    for _ in history:
        straight.tick()
    for number, fate in enumerate(fates[: len(history)]):
        if fate == "restart":
            changed = [replace(item, annotations={"summary": str(number)}) for item in edited.group.rules]
            edited.reconfigure(replace(edited.group, rules=tuple(changed)))
        edited.tick()
    assert story(edited) == story(straight)
