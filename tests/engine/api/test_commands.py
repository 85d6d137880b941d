"""Commands on a running engine: status reports and deliveries."""

from __future__ import annotations

import pytest

from bridge.domain.errors import UnknownRequestError
from bridge.ports import Delivery, Result, StatusReport
from tests.engine.api.test_queries import PLACE
from tests.support.outbox import settle
from tests.support.world import A, World, group, rule


def test_commands_take_over_what_a_delivery_recorded() -> None:
    """A report of the coordinator reaches the engine's memory at once."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (claim,) = world.store.claim(PLACE, "w", world.now, 1000)
    settle(world.store, claim, Delivery(Result.DELIVERED, reference="run-1"), world.now, world.now)
    world.commands.settled([claim.notification.request.id])
    world.commands.settled(["0" * 32])
    assert world.state.episode_index.requests[claim.notification.request.id].state == "accepted"


def test_a_report_on_an_unknown_request_is_an_error() -> None:
    """The coordinator reports an id that the bridge has not sent."""
    world = World(group(rule()))
    with pytest.raises(UnknownRequestError, match="there is no request"):
        world.report("0" * 32, "running")


def test_a_report_sets_the_new_version_and_keeps_other_fields() -> None:
    """Later reports may omit fields."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    id_ = world.requests()[0].id
    world.commands.report_status(
        StatusReport(id_, world.requests()[0].state.RUNNING, world.now, "training", "", "run-1")
    )
    world.commands.report_status(StatusReport(id_, world.requests()[0].state.SUCCEEDED, world.now, "", "8"))
    (record,) = world.requests()
    assert (record.message, record.new_version, record.reference, record.ended_at) == (
        "training", "8", "run-1", world.now,
    )  # fmt: skip


def test_what_waits_is_tried_at_once() -> None:
    """Through the command."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (claim,) = world.store.claim(PLACE, "w", world.now, 1000)
    settle(world.store, claim, Delivery(Result.RETRY), world.now, world.now + 60_000)
    assert world.commands.retry(claim.notification.request.id) == 1
    assert world.store.next_due(PLACE) == world.now


def test_a_delivery_to_a_removed_destination_is_not_retried() -> None:
    """It is not counted either; once its destination is configured again, it is."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (claim,) = world.store.claim(PLACE, "w", world.now, 1000)
    settle(world.store, claim, Delivery(Result.RETRY), world.now, world.now + 60_000)
    (known, world.routes.destinations) = (world.routes.destinations, ())
    assert world.commands.retry(claim.notification.request.id) == 0
    assert world.store.next_due(PLACE) == world.now + 60_000
    world.routes.destinations = known
    assert world.commands.retry(claim.notification.request.id) == 1


def test_redriving_queues_the_dead_again() -> None:
    """Through the command."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (claim,) = world.store.claim(PLACE, "w", world.now, 1000)
    settle(world.store, claim, Delivery(Result.DEAD), world.now, world.now)
    assert world.commands.redrive(claim.notification.request.id) == 1
