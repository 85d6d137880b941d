"""Since when models wait for their first verdict, across restarts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.times import HOUR
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.engine.state import strategy_state
from bridge.ports import StateChunk
from bridge.strategies.base import RetrainStrategy, StateColumn
from tests.engine.api.test_queries import queries
from tests.support.world import A, B, World, group, rule

NAME = "Drifted#waiting"


class OnlyLarge(RetrainStrategy):
    """Strategy that is inconclusive for values below one."""

    name = "only_large"

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        verdicts, large = Verdicts.inconclusive(len(batch), Cause.WARMING_UP), batch.values() >= 1
        verdicts.code[large], verdicts.cause[large] = Code.OK, Cause.NONE
        return verdicts


def silent_world() -> World:
    world = World(group(rule(), interval=HOUR))
    world.rule("Drifted").strategy = OnlyLarge()
    return world


def restart(world: World) -> None:
    world.restart()
    world.rule("Drifted").strategy = OnlyLarge()


def stored(world: World) -> dict[str, StateChunk]:
    return {chunk.rule: chunk for chunk in world.store.load(0).state}


def test_models_without_a_verdict_are_reported_across_restarts() -> None:
    """A bridge that starts again every ten hours reports A after a day; B has had its verdict."""
    world = silent_world()
    for slot in range(26):
        if slot in {10, 20}:
            restart(world)
        world.tick({A: 0.1, B: 1.0})
        assert queries(world).never_judged() == [("g", "Drifted", int(slot > 24))]


def test_they_are_written_when_they_change() -> None:
    """They are removed with the last of them."""
    world = silent_world()
    world.tick({A: 0.1, B: 1.0})
    first = stored(world)[NAME]
    assert first.models == (A,)
    world.tick({A: 0.1, B: 1.0})
    assert stored(world)[NAME] == first
    world.tick({A: 1.0, B: 1.0})
    assert NAME not in stored(world)
    restart(world)
    world.tick({A: 0.1, B: 0.1})
    assert stored(world)[NAME].models == (A, B)


def test_many_of_them_are_not_written_in_each_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most once in ten slots."""
    monkeypatch.setattr(strategy_state, "SMALL", 0)
    monkeypatch.setattr("bridge.engine.state.waiting.SMALL", 0)
    world = silent_world()
    world.tick({A: 0.1})
    first = stored(world)[NAME]
    for _ in range(9):
        world.tick({A: 0.1, B: 0.1})
        assert stored(world)[NAME] == first
    world.tick({A: 0.1, B: 0.1})
    assert stored(world)[NAME].models == (A, B)


def test_what_cannot_be_read_is_discarded(caplog: pytest.LogCaptureFixture) -> None:
    """They wait from now on."""
    world = silent_world()
    world.tick({A: 0.1})
    chunk = stored(world)[NAME]
    world.store._chunks[(chunk.rule, chunk.fingerprint)] = replace(chunk, data=b"12345")  # type: ignore[attr-defined]
    restart(world)
    assert np.count_nonzero(world.rule("Drifted").live.since) == 0
    assert "cannot be read" in caplog.text
