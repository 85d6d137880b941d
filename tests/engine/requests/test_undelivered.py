"""Undelivered requests: the pipeline is free, and the episode makes another request."""

from __future__ import annotations

import pytest

from bridge.domain.model import ModelKey
from bridge.domain.request import RequestState
from bridge.domain.times import MINUTE
from bridge.engine.api.explain import Explainer
from bridge.ports import Delivery, Result
from tests.engine.api.test_queries import queries
from tests.support.outbox import settle
from tests.support.world import A, C, FixedRoutes, World, group, rule

ONE, TWO = "team/coordinator/0", "team/webhook/0"
DEAD = Delivery(Result.DEAD, "http_4xx", 413, "the body is larger than 65096 bytes")


def die(world: World, destination: str, delivery: Delivery = DEAD) -> None:
    """Settle the next delivery to a destination."""
    (claim,) = world.store.claim(destination, "w", world.now, MINUTE)
    settle(world.store, claim, delivery, world.now, world.now)
    world.commands.settled([claim.notification.request.id])


def world_of(cooldown: int = 0, *destinations: str) -> World:
    return World(group(rule(cooldown=cooldown)), routes=FixedRoutes(destinations or (ONE,)))


def states(world: World) -> list[tuple[ModelKey, str, int]]:
    return [(item.request.model, item.state.value, item.request.attempt) for item in world.requests()]


@pytest.mark.parametrize("restarted", [False, True])
def test_the_pipeline_is_free_for_another_model(*, restarted: bool) -> None:
    """This happens at once and starts no cooldown, since nothing was retrained."""
    world = world_of(60 * MINUTE)
    world.tick({A: 0.7})
    die(world, ONE)
    if restarted:
        world.restart()
    world.tick({A: 0.7, C: 0.7})
    assert states(world) == [(A, "undelivered", 1), (C, "requested", 1)]


def test_one_receiver_that_took_it_is_enough() -> None:
    """The order in which the deliveries end does not matter."""
    for first, second in ((ONE, TWO), (TWO, ONE)):
        world = world_of(0, ONE, TWO)
        world.tick({A: 0.7})
        die(world, first)
        assert world.states() == [(A, "requested")]
        die(world, second, Delivery(Result.DELIVERED, status=200))
        assert world.states() == [(A, "requested")]


def test_the_episode_continues_when_the_cooldown_is_over() -> None:
    """Without a cooldown after five minutes: a refusing receiver does not get a request in every slot."""
    for cooldown, slots in ((0, 30), (10 * MINUTE, 60)):
        world = world_of(cooldown)
        world.tick({A: 0.7})
        die(world, ONE)
        for _ in range(slots - 1):
            world.tick({A: 0.7})
        assert states(world) == [(A, "undelivered", 1)]
        world.tick({A: 0.7})
        assert states(world) == [(A, "undelivered", 1), (A, "requested", 2)]
        assert world.requests()[1].unhelpful == 0


def test_what_is_driven_again_is_in_flight_again() -> None:
    """A person repaired the receiver: the same request is sent, and the coordinator's reports count."""
    world = world_of()
    world.tick({A: 0.7})
    die(world, ONE)
    (request,) = world.requests()
    assert (request.message, request.ended_at) == ("no receiver accepted it: every delivery is dead", world.now)
    assert world.commands.redrive(request.id) == 1
    assert (world.requests()[0].state, world.requests()[0].ended_at) == (RequestState.REQUESTED, 0)
    world.tick({A: 0.7, C: 0.7})
    assert [item.hold for item in world.requests()] == [None, "in_flight"]
    die(world, ONE, Delivery(Result.DELIVERED, status=202, reference="r"))
    assert world.requests()[0].state is RequestState.ACCEPTED


def test_a_report_proves_that_it_was_delivered_after_all() -> None:
    """An attempt without a response may have arrived: the coordinator's report decides."""
    world = world_of()
    world.tick({A: 0.7})
    die(world, ONE)
    (request,) = world.requests()
    world.report(request.id, "running")
    assert world.states() == [(A, "running")]


def test_the_end_of_its_episode_is_not_sent() -> None:
    """No receiver has the request."""
    world = World(group(rule()), routes=FixedRoutes((TWO,), reporting=False, resolved=(TWO,)))
    world.tick({A: 0.7})
    die(world, TWO)
    world.tick({A: 0.1})
    (request,) = world.requests()
    assert request.state is RequestState.UNDELIVERED
    assert [item.state.value for item in world.store.deliveries(request.id)] == ["dead"]


def test_a_tick_that_read_it_before_does_not_undo_it() -> None:
    """A courier settles while a tick is being decided."""
    world = world_of()
    world.tick({A: 0.7})
    (request,) = world.requests()
    (claim,) = world.store.claim(ONE, "w", world.now, MINUTE)
    settle(world.store, claim, DEAD, world.now, world.now)
    world.store.save_request(request)
    assert world.states() == [(A, "undelivered")]


def test_explain_and_the_counts_report_undelivered_requests() -> None:
    """This lasts until the episode makes another request."""
    world = world_of()
    world.tick({A: 0.7})
    die(world, ONE)
    (explanation,) = Explainer(world.engine, world.store, lambda _: "http://p:9090").explain(A)
    said = "every delivery is dead; it does not hold other requests"
    assert explanation.answer.startswith("request: ")
    assert said in explanation.answer
    assert queries(world).request_counts()["undelivered"] == 1
    world.tick({A: 0.1})
    assert queries(world).request_counts()["undelivered"] == 0
