"""Access to the engine: views, transactions and settings."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from msgspec import structs

from bridge.domain.errors import StoreError
from bridge.domain.model import ModelTable
from bridge.domain.request import RequestState
from bridge.domain.rule import Gates
from bridge.domain.times import HOUR
from bridge.engine.access import EngineSettings
from bridge.engine.engine import Engine
from bridge.engine.replay.replay import NoDestinations
from bridge.ports import Pause
from bridge.store.memory import MemoryStore
from tests.support.failing_store import FailingStore
from tests.support.world import A, ScriptedSource, World, group, rule


def test_a_view_cannot_be_changed() -> None:
    """Neither its fields nor the groups, nor the settings."""
    world = World(group(rule()))
    with world.engine.read() as state:
        with pytest.raises(FrozenInstanceError):
            state.trails = None  # type: ignore[misc]
        with pytest.raises(TypeError):
            state.groups["x"] = state.groups["g"]  # type: ignore[index]
        with pytest.raises(FrozenInstanceError):
            state.settings.dry_run = True  # type: ignore[misc]


def test_settings_are_required() -> None:
    """An engine that was not configured has no gates."""
    table = ModelTable()
    engine = Engine(ScriptedSource(table), MemoryStore(), table)
    with engine.read() as state, pytest.raises(RuntimeError, match="call configure"):
        _ = state.gatekeeper


def test_settings_are_replaced_as_a_whole() -> None:
    """configure() takes one record."""
    table = ModelTable()
    engine = Engine(ScriptedSource(table), MemoryStore(), table)
    settings = EngineSettings(NoDestinations(), Gates(), dry_run=True, retire_after=HOUR)
    engine.configure([group(rule())], settings)
    with engine.read() as state:
        assert state.settings is settings
        assert list(state.rules) == ["Drifted"]


def test_a_transaction_that_raises_changes_nothing() -> None:
    """Neither memory nor the store."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (record,) = world.requests()

    def fail() -> None:
        with world.engine.transact(lambda: world.now, world.store) as change:
            change.draft.put_request(structs.replace(record, state=RequestState.WITHDRAWN))
            change.pause = Pause("shop", "", world.now + HOUR, "kim", world.now)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert world.requests() == [record]
    assert world.state.episode_index.requests[record.id] == record
    assert world.state.episode_index.pauses == []


def test_a_transaction_that_is_not_stored_does_not_reach_memory() -> None:
    """The store comes first."""
    store = FailingStore()
    world = World(group(rule()), store=store)
    world.tick({A: 0.7})
    (record,) = world.requests()
    store.refuses = True
    with pytest.raises(StoreError, match="disk full"), world.engine.transact(lambda: world.now, store) as change:
        change.draft.put_request(structs.replace(record, state=RequestState.WITHDRAWN))
    assert world.state.episode_index.requests[record.id] == record


def test_a_pause_that_ends_at_once_removes_those_of_its_scope() -> None:
    """Others stay."""
    world = World(group(rule()))
    for project, length in (("shop", HOUR), ("ads", HOUR), ("shop", 0)):
        with world.engine.transact(lambda: world.now, world.store) as change:
            change.pause = Pause(project, "", change.at + length, "kim", change.at)
    assert [pause.project for pause in world.state.episode_index.pauses] == ["ads"]


def test_another_source_is_used_from_the_next_evaluation_on() -> None:
    """A reload may change the server."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    other = ScriptedSource(world.engine.table, world.script)
    world.change(source=other)
    world.tick({A: 0.7})
    assert len(other.asked) == 1
    assert world.states() == [(A, "requested")]
