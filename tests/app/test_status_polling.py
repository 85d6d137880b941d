"""Polling of coordinators in rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import pytest

from bridge.app import clock, status_polling
from bridge.app.status_polling import POLL_TIME, StatusPoller
from bridge.domain.request import RequestState
from bridge.domain.times import HOUR, MINUTE, SECOND, Timestamp
from bridge.engine.api.commands import EngineCommands
from bridge.ports import Delivery, Notification, Result, StatusReport
from tests.support.world import A, B, C, World, group, rule

DESTINATION = "team/coordinator/0"


class Coordinator:
    """A sink that reports every request as accepted, and counts the calls."""

    integration = "coordinator"
    reports_status = True
    sends_resolved = False

    def __init__(self) -> None:
        self.polled: list[str] = []

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        return Delivery(Result.DELIVERED)

    def statuses(self, request_ids: Sequence[str], now: Timestamp) -> Iterator[tuple[str, StatusReport | None]]:
        for request_id in request_ids:
            self.polled.append(request_id)
            yield request_id, StatusReport(request_id, RequestState.ACCEPTED, now)

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


class At:
    """Clock of the poller that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: Timestamp) -> None:
        self.now = now
        monkeypatch.setattr(clock, "now", lambda: self.now)


def polls(poller: StatusPoller, coordinator: Coordinator, at: At, length: int) -> list[int]:
    """Poll every five seconds; return the ages in seconds at which the coordinator was called."""
    began, ages = at.now, []
    while at.now < began + length:
        before = len(coordinator.polled)
        poller.poll()
        ages += [(at.now - began) // SECOND] * (len(coordinator.polled) - before)
        at.now += 5 * SECOND
    return ages


def test_a_request_is_polled_less_often_the_longer_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every five seconds at first, at last every five minutes."""
    world, coordinator = World(group(rule())), Coordinator()
    world.tick({A: 0.7})
    at = At(monkeypatch, world.now)
    poller = StatusPoller(world.engine, world.commands, lambda: {DESTINATION: coordinator})
    ages = polls(poller, coordinator, at, 3 * HOUR)
    gaps = [later - age for age, later in pairwise(ages)]
    assert gaps[:5] == [5] * 5
    assert gaps == sorted(gaps)
    assert gaps[-1] == 300
    assert len(ages) < 100


def test_very_many_requests_are_polled_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval grows with the number of requests in flight, so that polling has a limited rate."""
    world, coordinator = World(group(rule())), Coordinator()
    world.tick({A: 0.7, B: 0.7})
    at = At(monkeypatch, world.now)
    monkeypatch.setattr(status_polling, "EACH", 10 * SECOND)
    poller = StatusPoller(world.engine, world.commands, lambda: {DESTINATION: coordinator})
    assert polls(poller, coordinator, at, MINUTE) == [0, 0, 20, 20, 40, 40]


def test_a_call_back_brings_frequent_polls_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has begun to run an hour later: its end may come soon."""
    world, coordinator = World(group(rule())), Coordinator()
    world.tick({A: 0.7})
    at = At(monkeypatch, world.now)
    poller = StatusPoller(world.engine, world.commands, lambda: {DESTINATION: coordinator})
    polls(poller, coordinator, at, HOUR)
    world.now = at.now
    (record,) = world.requests()
    world.commands.report_status(StatusReport(record.id, RequestState.RUNNING, at.now))
    assert polls(poller, coordinator, at, MINUTE)[:3] == [5, 10, 15]


def test_a_round_that_takes_too_long_continues_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request has its turn, however slow the coordinator is."""
    world, coordinator = World(group(rule())), Coordinator()
    world.tick({A: 0.7, B: 0.7})
    at = At(monkeypatch, world.now)
    original = coordinator.statuses

    def slow(request_ids: Sequence[str], now: Timestamp) -> Iterator[tuple[str, StatusReport | None]]:
        for item in original(request_ids, now):
            at.now += POLL_TIME + 1
            yield item

    monkeypatch.setattr(coordinator, "statuses", slow)
    poller = StatusPoller(world.engine, world.commands, lambda: {DESTINATION: coordinator})
    for _ in range(2):
        poller.poll()
    assert sorted(coordinator.polled) == sorted(record.id for record in world.requests())


def test_a_report_without_news_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most reports: neither the store nor the engine's lock is needed."""
    world, coordinator = World(group(rule())), Coordinator()
    world.tick({A: 0.7})
    recorded, at = list[StatusReport](), At(monkeypatch, world.now)
    monkeypatch.setattr(world.commands, "report_status", recorded.append)
    poller = StatusPoller(world.engine, world.commands, lambda: {DESTINATION: coordinator})
    poller.poll()
    assert len(recorded) == 1
    EngineCommands.report_status(world.commands, recorded[0])
    at.now += MINUTE
    poller.poll()
    assert len(coordinator.polled) == 2
    assert len(recorded) == 1


class Orchestrator(Coordinator):
    """A sink that follows runs: one of the world's first request, and one of a request that was pruned."""

    def __init__(self, request_id: str) -> None:
        super().__init__()
        self.request_id = request_id

    def follow(self, now: Callable[[], Timestamp], report: Callable[[StatusReport], object], until: Timestamp) -> None:
        assert until > now()
        report(StatusReport("0" * 32, RequestState.RUNNING, now()))
        report(StatusReport(self.request_id, RequestState.ACCEPTED, now(), link="https://x.example/1"))
        report(StatusReport(self.request_id, RequestState.ACCEPTED, now(), "not started within 30m"))


def test_runs_are_followed_and_what_they_report_is_recorded() -> None:
    """A link and a message change no state, and an unknown request no other one."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    orchestrator = Orchestrator(world.requests()[0].id)
    StatusPoller(world.engine, world.commands, lambda: {"team/run/0": orchestrator}).poll()
    (record,) = world.requests()
    assert (record.state, record.link, record.message) == ("accepted", "https://x.example/1", "not started within 30m")
