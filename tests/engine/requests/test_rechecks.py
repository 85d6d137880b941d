"""Held requests are rechecked only when due or when something changed, with the result of rechecking each slot."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec import structs

from bridge.domain.errors import RequestError
from bridge.domain.model import ModelKey
from bridge.domain.request import RequestRecord, RequestState
from bridge.domain.rule import Budget, Gates, Storm
from bridge.domain.times import MINUTE, SECOND
from bridge.engine.requests.gates import Gatekeeper
from bridge.engine.requests.rechecks import Rechecks
from bridge.ports import StatusReport
from tests.support.world import FixedRoutes, World, group, rule

MODELS = [ModelKey("shop", f"p{number % 6}", str(number // 6)) for number in range(18)]


def gates_of(rng: random.Random) -> Gates:
    """Draw gates, each of them often closed."""
    return Gates(
        settle=0,
        storm=Storm(0.3, 4, 3 * MINUTE) if rng.random() < 0.7 else None,
        total=Budget(4, 2 * MINUTE) if rng.random() < 0.5 else None,
        per_pipeline=Budget(1, MINUTE) if rng.random() < 0.3 else None,
        hold_limit=rng.choice([4 * MINUTE, 20 * MINUTE]),
        in_flight_limit=5 * MINUTE,
    )


def lived(seed: int) -> tuple[list[object], list[object]]:
    """Return the requests and decisions of sixty ticks with breaches, reports, operators, reloads and a restart.

    Some ticks catch up on slots in which nothing was evaluated. With odd seeds, requests close with their episodes.
    """
    rng = random.Random(seed)
    rules = group(
        rule("Drifted", cooldown=rng.choice([0, 90 * SECOND])),
        rule("Careful", query="errors", limit=0.5, approval=True, max_attempts=2),
    )
    world = World(rules, gates=gates_of(rng), routes=FixedRoutes(reporting=seed % 2 == 0))
    bad, holds = set(rng.sample(MODELS, 3)), list[object]()
    for _ in range(60):
        for missed in reversed(range(1 + rng.choice([0, 0, 0, 0, 3]))):
            bad ^= set(rng.sample(MODELS, rng.choice([0, 0, 1, 2, 8])))
            for signal in ("drift", "errors"):
                world.say({model: 0.9 if model in bad else 0.1 for model in MODELS}, signal=signal)
            if missed:
                world.pass_slots({model: 0.9 if model in bad else 0.1 for model in MODELS})
        world.tick()
        holds.append([(item.id, item.state, item.hold, item.hold_until) for item in world.requests()])
        happen(world, rng)
    requests = [structs.replace(item, updated_at=0) for item in world.requests()]
    return [*holds, *requests], [structs.replace(item, id=0) for item in world.decisions()]


def happen(world: World, rng: random.Random) -> None:
    """One thing that may open or close a gate."""
    what, records = rng.random(), world.requests()
    if what < 0.4 and records:
        one = rng.choice(records)
        state = rng.choice([RequestState.SUCCEEDED, RequestState.FAILED, RequestState.RUNNING])
        if one.state.in_flight:
            world.commands.report_status(StatusReport(one.id, state, world.now))
    elif what < 0.55 and records:
        try:
            world.commands.act(rng.choice(records).id, rng.choice(["approve", "release", "withdraw"]), "me")
        except RequestError:
            return
    elif what < 0.65:
        world.commands.pause("shop", rng.choice(["", "p1"]), rng.choice([0, MINUTE]), "me")
    elif what < 0.7:
        world.change(gates=gates_of(rng))
    elif what < 0.73:
        world.restart()


@pytest.mark.parametrize("seed", range(8))
def test_the_result_is_that_of_rechecking_every_slot(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same requests, holds and decisions in the same slots."""
    seldom = lived(seed)
    monkeypatch.setattr(Rechecks, "postpone", lambda *_: None)
    assert lived(seed) == seldom, f"seed {seed}"


def test_requests_that_a_storm_holds_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then again when the storm ends."""
    checked: list[str] = []
    original = Gatekeeper.settle

    def settle(self: Gatekeeper, tick: Any, record: RequestRecord, *rest: Any) -> RequestRecord:
        checked.append(record.id)
        return original(self, tick, record, *rest)

    monkeypatch.setattr(Gatekeeper, "settle", settle)
    world = World(group(rule()), gates=Gates(settle=0, storm=Storm(0.3, 4, 3 * MINUTE)))
    world.tick(dict.fromkeys(MODELS, 0.1))
    world.tick(dict.fromkeys(MODELS, 0.9))
    world.tick(dict.fromkeys(MODELS, 0.9))
    before = len(checked)
    for _ in range(15):
        world.tick(dict.fromkeys(MODELS, 0.9))
    assert len(checked) == before
    for _ in range(3):
        world.tick(dict.fromkeys(MODELS, 0.9))
    assert len(checked) > before
    assert {state for _, state in world.states()} >= {"requested"}


def untils(world: World) -> dict[ModelKey, int]:
    """Return until when each held request is held."""
    return {item.request.model: item.hold_until for item in world.requests() if item.state is RequestState.HELD}


def test_a_continued_storm_moves_the_end_of_its_holds() -> None:
    """More models start firing a slot later: all are held until the storm of that slot ends."""
    world = World(group(rule()), gates=Gates(settle=0, storm=Storm(0.3, 4, 3 * MINUTE)))
    models = [ModelKey("shop", f"q{number}", "1") for number in range(18)]  # a pipeline each
    world.tick(dict.fromkeys(models, 0.1))
    for bad in (8, 8, 17, 17, 17):
        world.tick({model: 0.9 if index < bad else 0.1 for index, model in enumerate(models)})
    assert len(untils(world)) == 17
    assert set(untils(world).values()) == {world.now - 20 * SECOND + 3 * MINUTE}


def test_a_request_that_is_sent_moves_the_budget_of_those_that_wait() -> None:
    """Two in two minutes; a third is released by an operator: the fourth waits longer than before."""
    world = World(group(rule()), gates=Gates(settle=0, total=Budget(2, 2 * MINUTE)))
    four = [ModelKey("shop", f"q{number}", "1") for number in range(4)]
    for count in (1, 2, 3, 4, 4, 4):
        world.tick({model: 0.9 if index < count else 0.1 for index, model in enumerate(four)})
    before = untils(world)
    (third,) = [item for item in world.requests() if item.request.model == four[2]]
    world.commands.act(third.id, "release", "me")
    for _ in range(2):
        world.tick(dict.fromkeys(four, 0.9))
    assert untils(world)[four[3]] > before[four[3]]
