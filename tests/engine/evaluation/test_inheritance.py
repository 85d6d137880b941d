"""Inheritance: a new version starts with state that its strategy derives from the previous version."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.batch import VALUE, EventBatch
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.verdict import Code, Verdicts
from bridge.engine.evaluation.inheritance import inherit
from bridge.engine.state import strategy_state
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig
from bridge.strategies.registry import strategies
from tests.support.world import A, B, C, World, group, rule

STATE = np.dtype([("highest", np.float64), ("handed", np.float64)])


class Learning(RetrainStrategy):
    """Strategy that is breached above the highest value of the previous version."""

    name = "learning"
    needs = frozenset({VALUE})
    inherits = True
    state_dtype = STATE

    def __init__(self, config: StrategyConfig) -> None:
        pass

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        assert state is not None
        values = batch.values()
        state["highest"] = np.maximum(state["highest"], values)
        code = np.where((state["handed"] > 0) & (values > state["handed"]), Code.BREACHED, Code.OK).astype(np.int8)
        return Verdicts(code, np.zeros(len(code), np.int8), values, state["handed"].copy())

    def successor(self, former: StateColumn) -> StateColumn:
        state = np.zeros(len(former), STATE)
        state["handed"] = former["highest"]
        return state


def install(monkeypatch: pytest.MonkeyPatch, kind: type[Learning]) -> None:
    """Register this strategy under the name `threshold`."""
    known = dict(strategies())
    stand_in = type("StandIn", (kind,), {"Config": known["threshold"].Config})
    monkeypatch.setattr("bridge.strategies.registry.strategies", lambda: known | {"threshold": stand_in})


def learning() -> RetrainStrategy:
    return Learning(StrategyConfig())


def filled(table: ModelTable, **highest: float) -> StateColumn:
    state = np.zeros(len(table), STATE)
    for version, value in highest.items():
        state["highest"][table.row(ModelKey("p", "q", version))] = value
    return state


def handed(known: list[str], every: StateColumn, table: ModelTable, version: str) -> float:
    row = table.row(ModelKey("p", "q", version))
    state, seen = np.zeros(1, STATE), np.zeros(len(table), np.bool_)
    seen[[table.row(ModelKey("p", "q", item)) for item in known]] = True
    inherit(learning(), state, np.array([row], np.int32), every, seen, table)
    return float(state["handed"][0])


@pytest.fixture
def table() -> ModelTable:
    """Return a table with three versions of one pipeline and a model of another one."""
    table = ModelTable()
    for model in (*(ModelKey("p", "q", version) for version in ("v1", "v2", "v3")), ModelKey("p", "other", "v1")):
        table.row(model)
    return table


def test_the_latest_version_that_has_a_memory_hands_it_on(table: ModelTable) -> None:
    """It is not of another pipeline, not cleared, and not the model itself."""
    assert handed(["v1", "v2"], filled(table, v1=1.0, v2=2.0), table, "v3") == 2.0
    assert handed(["v1", "v2"], filled(table, v1=1.0), table, "v3") == 1.0
    assert handed([], filled(table), table, "v3") == 0.0
    every = filled(table)
    every["highest"][3] = 9.0
    assert handed([], every, table, "v3") == 0.0


def test_a_version_that_is_known_or_has_a_memory_of_its_own_keeps_it(table: ModelTable) -> None:
    """A model that reports again after a roll-back, and one with backfilled state before its first live slot."""
    assert handed(["v1", "v2", "v3"], filled(table, v1=1.0, v2=2.0), table, "v3") == 0.0
    state = filled(table, v3=5.0)[2:3]
    inherit(learning(), state, np.array([2], np.int32), filled(table, v1=1.0), np.zeros(4, np.bool_), table)
    assert state["handed"][0] == 0.0
    assert state["highest"][0] == 5.0


def test_state_is_inherited_at_the_first_sample_of_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """C follows A, whose highest value was 0.5. B has no earlier version."""
    install(monkeypatch, Learning)
    world = World(group(rule()))
    for value in (0.5, 0.4):
        world.tick({A: value, B: 0.9})
    world.tick({C: 0.45, B: 0.9})
    assert world.requests() == []
    world.tick({C: 0.55, B: 0.9})
    assert [record.request.model for record in world.requests()] == [C]


def test_a_pause_between_two_versions_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes without samples, longer than the time until a version counts as replaced."""
    install(monkeypatch, Learning)
    world = World(group(rule()))
    world.tick({A: 0.5})
    for _ in range(60):
        world.tick({B: 0.1})
    world.tick({C: 0.45, B: 0.1})
    assert world.requests() == []
    world.tick({C: 0.55, B: 0.1})
    assert [record.request.model for record in world.requests()] == [C]


class LearningFromThePast(Learning):
    """The same strategy with a minute of history."""

    history = 60_000


def test_versions_in_the_history_of_a_new_rule_hand_on_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """No live slot saw A or C: C is evaluated against A's values from history."""
    install(monkeypatch, LearningFromThePast)
    world = World(group(rule()))
    world.pass_slots({A: 0.5}, {A: 0.4}, {C: 0.3}, {C: 0.2})
    world.tick({C: 0.55})
    assert [record.request.model for record in world.requests()] == [C]


def test_a_version_that_began_while_its_memory_was_not_written_inherits_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is killed two slots after C began; the slots since the stored state are read again."""
    monkeypatch.setattr(strategy_state, "SMALL", 0)
    install(monkeypatch, Learning)
    world = World(group(rule()))
    world.tick({A: 0.5})
    for _ in range(2):
        world.tick({C: 0.3})
    world.restart()
    world.tick({C: 0.45})
    assert world.requests() == []
    world.tick({C: 0.55})
    assert [record.request.model for record in world.requests()] == [C]


class LearningFromSiblings(Learning):
    """The same strategy, for which the highest value of siblings counts in a new pipeline."""

    def newcomer(self, siblings: StateColumn) -> StateColumn:
        state = np.zeros(1, STATE)
        state["handed"] = siblings["highest"].max()
        return state


def test_the_first_version_of_a_pipeline_learns_from_the_latest_versions_of_its_siblings() -> None:
    """Not from models of another project, from former versions, or from those without state."""
    table = ModelTable()
    models = [
        ("p", "a", "v1"),
        ("p", "a", "v2"),
        ("p", "b", "v1"),
        ("p", "c", "v1"),
        ("r", "d", "v1"),
        ("p", "e", "v1"),
    ]
    for model in models:
        table.row(ModelKey(*model))
    every = np.zeros(5, STATE)
    every["highest"] = [9.0, 1.0, 2.0, 0.0, 8.0]
    state = np.zeros(1, STATE)
    inherit(LearningFromSiblings(StrategyConfig()), state, np.array([5], np.int32), every, np.zeros(6, np.bool_), table)
    assert state["handed"][0] == 2.0


def test_what_siblings_taught_outlasts_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """D is the first version of another pipeline of the project of A and B."""
    install(monkeypatch, LearningFromSiblings)
    world = World(group(rule()))
    newcomer = ModelKey(A.project, "another", "1")
    world.tick({A: 0.5})
    world.tick({A: 0.1, newcomer: 0.45})
    world.restart()
    world.tick({A: 0.1, newcomer: 0.45})
    assert world.requests() == []
    world.tick({A: 0.1, newcomer: 0.55})
    assert [record.request.model for record in world.requests()] == [newcomer]


def test_strategies_that_do_not_inherit_begin_with_nothing() -> None:
    """The state of an earlier version does not matter."""
    plain = build_plain()
    assert not plain.inherits
    assert not plain.successor(np.ones(2, STATE))["handed"].any()
    assert not plain.newcomer(np.ones(2, STATE))["handed"].any()


def build_plain() -> RetrainStrategy:
    class Plain(Learning):
        inherits = False
        successor = RetrainStrategy.successor

    return Plain(StrategyConfig())
