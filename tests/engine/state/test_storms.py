"""Storms that are stored: they hold the requests that follow after a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import StoreError
from bridge.domain.model import ModelKey
from bridge.domain.rule import Gates, Storm
from bridge.domain.times import MINUTE
from bridge.engine.state import storms
from bridge.ports import StateChunk
from tests.support.failing_store import FailingStore
from tests.support.world import World, group, rule

SIX = [ModelKey("shop", f"q{number}", "1") for number in range(6)]


def answer(*bad: int) -> dict[ModelKey, float]:
    return {model: 0.9 if index in bad else 0.1 for index, model in enumerate(SIX)}


def stormy(world: World) -> World:
    """Let four models of six start firing at once, and recover: no request is held any more."""
    world.tick(answer())
    world.tick(answer(0, 1, 2, 3))
    world.tick(answer())
    assert {item.state.value for item in world.requests()} == {"withdrawn"}
    return world


def world() -> World:
    return World(group(rule()), gates=Gates(settle=0, storm=Storm(0.4, 4, 5 * MINUTE)))


@pytest.mark.parametrize("restarts", [False, True])
def test_storm_without_held_requests_holds_those_that_follow(restarts: bool) -> None:
    """A process that was never replaced and one that takes over decide the same."""
    made = stormy(world())
    if restarts:
        made.restart()
    made.tick(answer(4))
    assert [(item.hold, item.hold_until) for item in made.requests()[4:]] == [("storm", made.now - 20_000 + 5 * MINUTE)]


def test_storm_ends_after_a_restart_at_its_time_and_is_removed() -> None:
    """The request is sent then, and the store has no storm any more."""
    made = stormy(world())
    made.restart()
    for _ in range(30):
        made.tick(answer(4))
    assert [item.state.value for item in made.requests()[4:]] == ["requested"]
    assert made.store.load(0).state == []


def test_storm_of_an_evaluation_that_was_not_stored_holds_no_request() -> None:
    """The missed slot is evaluated again, and no model fires any more."""
    store = FailingStore()
    made = World(group(rule()), gates=world().gates, store=store)
    made.tick(answer())
    store.refuses = True
    with pytest.raises(StoreError):
        made.tick(answer(0, 1, 2, 3))
    store.refuses = False
    made.say(answer(), at=made.now)
    made.tick(answer(4))
    assert [(item.state.value, item.hold) for item in made.requests()] == [("requested", None)]


def test_storm_of_a_removed_group_is_removed_when_it_is_over() -> None:
    """By the next evaluation of any group."""
    made = stormy(world())
    made.reconfigure(replace(made.group, name="other"))
    for _ in range(31):
        made.tick(answer())
    assert made.store.load(0).state == []


@pytest.mark.parametrize("data", [b"[1", b"7", b'["1", 2]', b"[1, null]"])
def test_storm_that_cannot_be_read_is_none(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The bridge starts without it."""
    assert storms.after({}, [StateChunk("g#storm", "", 1, (), data)]) == {}
    assert caplog.messages == ["a stored storm cannot be read"]
