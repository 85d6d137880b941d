"""Polling of coordinators in rounds."""

from __future__ import annotations

from bridge.app.status_polling import StatusPoller
from bridge.domain.request import RequestState
from bridge.domain.times import Timestamp
from bridge.ports import Delivery, Notification, Result, StatusReport
from tests.support.world import A, B, C, World, group, rule

DESTINATION = "team/coordinator/0"


class Coordinator:
    """A sink that reports every request as accepted, and counts the calls."""

    reports_status = True
    sends_resolved = False

    def __init__(self) -> None:
        self.polled: list[str] = []

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        return Delivery(Result.DELIVERED)

    def status(self, request_id: str, now: Timestamp) -> StatusReport | None:
        self.polled.append(request_id)
        return StatusReport(request_id, RequestState.ACCEPTED, now)

    def close(self) -> None:
        pass


def test_every_request_in_flight_is_polled_once_a_round() -> None:
    """The reports are recorded."""
    world, coordinator = World(group(rule())), Coordinator()
    world.tick({A: 0.7, B: 0.7})
    poller = StatusPoller(world.engine, world.commands, lambda: {DESTINATION: coordinator})
    poller.poll()
    assert sorted(coordinator.polled) == sorted(record.id for record in world.requests())
    assert [state for _, state in world.states()] == ["accepted", "accepted"]


def test_a_request_of_another_destination_is_not_polled() -> None:
    """Nor anything without a destination that reports."""
    world, coordinator = World(group(rule())), Coordinator()
    world.tick({C: 0.7})
    StatusPoller(world.engine, world.commands, lambda: {"other/coordinator/0": coordinator}).poll()
    StatusPoller(world.engine, world.commands, dict).poll()
    assert coordinator.polled == []
