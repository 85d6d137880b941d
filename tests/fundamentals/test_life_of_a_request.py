"""Ten stories of the daemon, each a few slots long: read these first."""

from __future__ import annotations

from bridge.domain.rule import Gates
from bridge.domain.times import HOUR, SECOND
from tests.support.world import QUERY_FAILED, A, B, C, FixedRoutes, World, group, rule


def test_a_breach_leads_to_one_request_and_one_delivery() -> None:
    """One model drifts, one does not: one request, queued for the one destination."""
    world = World(group(rule()))
    world.tick({A: 0.7, B: 0.2})
    (record,) = world.requests()
    assert (record.request.model, record.state, record.request.reason) == (
        A,
        "requested",
        "Drifted: drift 0.7 above 0.6",
    )
    assert [item.destination for item in world.store.deliveries(record.id)] == ["team/coordinator/0"]


def test_the_same_episode_requests_once_however_long_it_lasts() -> None:
    """Ten breached slots in a row are one episode, so one request."""
    world = World(group(rule()))
    for _ in range(10):
        world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]


def test_a_new_episode_is_a_new_request() -> None:
    """Recovered and breached again: another episode, another id."""
    world = World(group(rule()), routes=FixedRoutes(reporting=False))
    for value in (0.7, 0.1, 0.7):
        world.tick({A: value})
    first, second = world.requests()
    assert first.id != second.id
    assert (first.state, second.state) == ("closed", "requested")


def test_for_waits_before_it_requests() -> None:
    """for: 20s with slots every 10 s: asked at the third breach."""
    world = World(group(rule(for_=20 * SECOND)))
    asked = [len(world.tick({A: 0.7}).decisions) and len(world.requests()) for _ in range(3)]
    assert asked == [0, 0, 1]


def test_a_failing_query_neither_resolves_nor_requests_again() -> None:
    """The query fails for three slots while the rule fires: the episode goes on, one request in all."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    for _ in range(3):
        world.tick(QUERY_FAILED)
    world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]
    assert [decision.after for decision in world.decisions() if decision.model == A] == ["firing"]


def test_a_restart_while_firing_is_invisible_outside() -> None:
    """Killed and started again: the same episode, no second request."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    world.restart()
    world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]


def test_a_pipeline_in_flight_holds_the_next_request() -> None:
    """Another version of the same pipeline drifts meanwhile: held, and sent when the first is done."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    world.tick({A: 0.7, C: 0.8})
    assert world.states() == [(A, "requested"), (C, "held")]
    world.report(world.requests()[0].id, "succeeded")
    world.tick({C: 0.8})
    assert world.states() == [(A, "succeeded"), (C, "requested")]


def test_a_model_in_cooldown_is_not_requested_again() -> None:
    """A second episode within the cooldown is held until it is over."""
    world = World(group(rule(cooldown=60 * SECOND)))
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "succeeded")
    world.tick({A: 0.1})
    for _ in range(4):
        world.tick({A: 0.7})
    assert [record.state for record in world.requests()] == ["succeeded", "held"]
    world.tick({A: 0.7})
    assert [record.state for record in world.requests()] == ["succeeded", "requested"]


def test_a_held_request_is_withdrawn_when_its_episode_ends() -> None:
    """Nobody retrains a model that recovered by itself."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    world.tick({A: 0.7, C: 0.8})
    world.tick({A: 0.7, C: 0.1})
    assert world.states() == [(A, "requested"), (C, "withdrawn")]


def test_an_attempt_that_failed_is_followed_by_the_next_one() -> None:
    """The coordinator says failed, the breach goes on: attempt 2 of the same episode, under its own id."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (first,) = world.requests()
    world.report(first.id, "failed")
    world.tick({A: 0.9})
    first, second = world.requests()
    assert (first.state, second.state) == ("failed", "requested")
    assert (second.request.attempt, second.request.episode_start) == (2, first.request.episode_start)
    assert second.id != first.id


def test_a_request_that_no_receiver_answers_is_lost_and_requested_again() -> None:
    """After in_flight_limit it no longer blocks the pipeline."""
    world = World(group(rule(), interval=600 * SECOND), gates=Gates(in_flight_limit=HOUR))
    for _ in range(8):
        world.tick({A: 0.7})
    assert [(record.state, record.request.attempt) for record in world.requests()] == [("lost", 1), ("requested", 2)]
    assert "lost: no outcome was reported within in_flight_limit" in [item.reason for item in world.decisions()]
