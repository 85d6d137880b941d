"""Couriers, sinks and real sockets together: receivers that misbehave, side by side, each with its own queue."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from bridge.app.couriers import Couriers
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.courier import Courier
from bridge.ports import AttemptReport, Breaker, DeliveryState
from bridge.sinks.base import BaseSink, SinkContext
from bridge.sinks.registry import sinks
from tests.support.notifications import firing, numbered
from tests.support.outbox import FakeOutbox, Row
from tests.support.receiver import DRIP, HANG, RESET, Behaviour, Receiver, Reply

GOOD = Reply(202, b'{"reference": "r-1"}')
FAST = DeliverySettings(
    attempt_deadline=2_000, lease=20_000, backoff_base=20, backoff_max=100, probe=100, denied_delay=200
)


def now() -> int:
    return time.time_ns() // 1_000_000


class Yard:
    """Destinations on one outbox, served by real threads."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.outbox = FakeOutbox()
        self.reports: list[AttemptReport] = []
        self.receivers: dict[str, Receiver] = {}
        self.workers: dict[str, Courier] = {}
        self._changed = threading.Condition()

    def add(self, name: str, *plan: Behaviour, integration: str = "coordinator", timeout: int = 4) -> Receiver:
        """Add a destination. timeout: seconds that an attempt may take."""
        receiver = self.receivers[name] = self.stack.enter_context(Receiver(*plan))
        kind = sinks()[integration]
        config = kind.Config.model_validate({"url": receiver.url, "timeout": f"{timeout}s"})
        sink: BaseSink = kind(config, SinkContext(name, 0))
        self.stack.callback(sink.close)
        rng = random.Random(5)
        settings = replace(FAST, attempt_deadline=timeout * 1000, lease=timeout * 10_000)
        self.workers[name] = Courier(name, sink, self.outbox, "w", settings, self._report, lambda _: None, rng)
        return receiver

    def _report(self, report: AttemptReport) -> None:
        with self._changed:
            self.reports.append(report)
            self._changed.notify_all()

    def start(self) -> None:
        running = Couriers(self.workers, now)
        running.start()
        self.stack.callback(running.stop, 10)

    def put(self, name: str, number: int = 0) -> Row:
        return self.outbox.put(firing(numbered(number)), name, at=now())

    def wait_for(self, check: Callable[[], bool], timeout: float = 300.0) -> bool:
        with self._changed:
            return self._changed.wait_for(check, timeout)

    def outcomes(self, name: str) -> list[tuple[str, str]]:
        return [(item.delivery.result.value, item.delivery.reason) for item in self.reports if item.destination == name]


@pytest.fixture
def yard() -> Iterator[Yard]:
    built = Yard()
    with built.stack:
        yield built


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        (Reply(503, b"", {"Retry-After": "1"}), ("retry", "http_5xx")),
        (Reply(429, b"", {"Retry-After": "1"}), ("retry", "rate_limited")),
        (Reply(401), ("denied", "unauthorized")),
        (HANG, ("retry", "timeout")),
        (DRIP, ("retry", "timeout")),
        (RESET, ("retry", "network")),
        (Reply(200, b"<html>rubbish"), ("retry", "invalid_answer")),
    ],
    ids=["503", "429", "401", "hang", "drip", "reset", "rubbish"],
)
def test_a_trouble_that_passes_ends_in_delivery(yard: Yard, trouble: Behaviour, outcome: tuple[str, str]) -> None:
    """The same request, under the same id, until it is taken: once."""
    receiver = yard.add("a", trouble, GOOD)
    row = yard.put("a")
    yard.start()
    assert yard.wait_for(lambda: row.state is DeliveryState.DELIVERED)
    assert yard.outcomes("a") == [outcome, ("delivered", "ok")]
    assert [got.headers["idempotency-key"] for got in receiver.requests] == [numbered(0).id] * 2


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(Reply(302, b"", {"Location": "/login"}), "redirect"), (Reply(400, b"no such pipeline"), "http_4xx")],
    ids=["302", "400"],
)
def test_a_final_answer_is_a_dead_letter_at_once(yard: Yard, trouble: Reply, reason: str) -> None:
    """Nothing is followed, nothing is repeated; the answer is kept for people, and the next request goes on."""
    receiver = yard.add("a", trouble, GOOD)
    dead, good = yard.put("a", 0), yard.put("a", 1)
    yard.start()
    assert yard.wait_for(lambda: good.state is DeliveryState.DELIVERED)
    assert dead.state is DeliveryState.DEAD
    assert dead.last is not None
    assert (dead.last.reason, dead.last.answer) == (reason, trouble.body.decode())
    assert [got.method for got in receiver.requests] == ["POST", "POST"]


def test_retry_after_is_waited_for_and_then_delivered(yard: Yard) -> None:
    """429 with Retry-After: 1: not one request before the second is over, also of those that were due."""
    receiver = yard.add("a", Reply(429, b"", {"Retry-After": "1"}), GOOD)
    rows = [yard.put("a", number) for number in range(3)]
    before = now()
    yard.start()
    assert yard.wait_for(lambda: len(yard.reports) >= 1)
    paused = yard.outbox.breaker("a").paused_until
    assert yard.wait_for(lambda: all(row.state is DeliveryState.DELIVERED for row in rows))
    assert paused - before >= 1000
    assert now() >= paused
    assert len(receiver.requests) == 4


def test_receivers_in_trouble_hold_up_no_other(yard: Yard) -> None:
    """Ten destinations in every kind of trouble: fifty requests to the healthy one arrive while two of them hang."""
    troubles: list[Behaviour] = [HANG, DRIP, RESET, Reply(503), Reply(429, b"", {"Retry-After": "30"})]
    troubles += [Reply(302), Reply(400), Reply(401), Reply(200, b"rubbish"), Reply(500)]
    for number, trouble in enumerate(troubles):
        yard.add(f"bad-{number}", trouble, timeout=3600)
        for count in range(5):
            yard.put(f"bad-{number}", count)
    yard.add("good", GOOD)
    rows = [yard.put("good", number) for number in range(50)]
    yard.start()
    assert yard.wait_for(lambda: all(row.state is DeliveryState.DELIVERED for row in rows))
    assert yard.outcomes("bad-0") == yard.outcomes("bad-1") == []
    for name in ("bad-0", "bad-1"):
        yard.receivers[name].close()
    assert yard.outbox.breaker("good") == Breaker("good")
    assert yard.wait_for(lambda: len({item.destination for item in yard.reports}) == 11)


@pytest.mark.parametrize("integration", ["alertmanager", "webhook", "coordinator"])
def test_a_receiver_that_comes_back_gets_everything_in_order(yard: Yard, integration: str) -> None:
    """Down for a while: no request is lost, each arrives once, the breaker is closed again."""
    receiver = yard.add("a", Reply(503), Reply(503), Reply(503), Reply(503), GOOD, integration=integration)
    rows = [yard.put("a", number) for number in range(5)]
    yard.start()
    assert yard.wait_for(lambda: all(row.state is DeliveryState.DELIVERED for row in rows))
    assert len(receiver.requests) == 9
    taken = receiver.requests[4:]
    assert sorted(number for number in range(5) for got in taken if numbered(number).id.encode() in got.body) == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert yard.outbox.breaker("a") == Breaker("a")
