"""Life cycle of requests: made, held, released, withdrawn, expired, lost."""

from __future__ import annotations

from bridge.domain.request import HoldReason, request_id
from bridge.domain.rule import Gates
from bridge.domain.times import HOUR, SECOND
from bridge.ports import Kind
from tests.support.world import A, FixedRoutes, World, group, rule

APPROVED = group(rule(approval=True))


def test_a_request_is_identified_by_model_rule_episode_and_attempt() -> None:
    """The same breach gives the same id in every process."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert record.id == request_id(A, "Drifted", world.now, 1)
    assert (record.request.attempt, record.request.late) == (1, False)
    assert record.request.reasons == ("Drifted: drift 0.7 above 0.6",)


def test_a_held_request_is_withdrawn_when_its_episode_ends() -> None:
    """It was never sent, so nothing is delivered."""
    world = World(APPROVED)
    world.tick({A: 0.7})
    assert world.requests()[0].hold is HoldReason.APPROVAL
    world.tick({A: 0.1})
    (record,) = world.requests()
    assert (record.state, record.hold) == ("withdrawn", None)
    assert world.store.deliveries(record.id) == []
    assert "episode ended (resolved) while the request was held" in [item.reason for item in world.decisions()]


def test_a_request_expires_at_the_hold_limit() -> None:
    """Though its breach continues."""
    world = World(APPROVED, gates=Gates(hold_limit=20 * SECOND))
    for _ in range(3):
        world.tick({A: 0.7})
    assert world.states() == [(A, "expired")]
    assert world.decisions()[-1].reason == "held for longer than hold_limit"


def test_a_request_without_an_outcome_is_lost_at_the_limit() -> None:
    """A coordinator that never reports does not block the pipeline forever."""
    world = World(group(rule(cooldown=HOUR)), gates=Gates(in_flight_limit=20 * SECOND))
    for _ in range(3):
        world.tick({A: 0.7})
    assert world.states()[0] == (A, "lost")
    assert "lost: no outcome was reported within in_flight_limit" in [item.reason for item in world.decisions()]


def test_a_request_of_a_receiver_that_reports_nothing_closes_with_its_episode() -> None:
    """Receivers that want it get a resolved notification."""
    routes = FixedRoutes(("team/webhook/0",), reporting=False, resolved=("team/webhook/0",))
    world = World(group(rule()), routes=routes)
    world.tick({A: 0.7})
    world.tick({A: 0.1})
    (record,) = world.requests()
    assert (record.state, record.message) == ("closed", "resolved")
    assert [item.kind for item in world.store.deliveries(record.id)] == [Kind.FIRING, Kind.RESOLVED]
