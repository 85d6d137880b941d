"""Several attempts at once: never more than allowed, cut by failures, and returned to the queue."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bridge.domain.times import MINUTE, SECOND
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.ports import Breaker, Delivery, DeliveryState, Notification, RateLimit, Result
from tests.support.notifications import T0, firing, numbered
from tests.support.outbox import Bench, Clock, FakeOutbox, Receiver

OK = Delivery(Result.DELIVERED, "ok", 200)
DOWN = Delivery(Result.RETRY, "network")
BUSY = Delivery(Result.RETRY, "rate_limited", 429, retry_after=90 * SECOND)
PLACE = "ops/webhook/0"


class Held(Receiver):
    """Receiver that answers once `together` attempts are in progress, or `open` is set."""

    def __init__(self, clock: Clock, answer: Delivery, together: int) -> None:
        super().__init__(clock, [answer])
        self.together, self.open = together, threading.Event()
        self.now, self.most = 0, 0
        self.lock = threading.Condition()

    def send(self, notification: Notification, now: int) -> Delivery:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.lock.notify_all()
            self.lock.wait_for(lambda: self.now >= self.together or self.open.is_set(), 60)
            self.now -= 1
            self.open.set()
            return super().send(notification, now)


def work(receiver: Receiver, requests: int, **settings: Any) -> Bench[FakeOutbox]:
    bench = Bench(receiver, FakeOutbox(), receiver.clock, DeliverySettings(**settings))
    for number in range(requests):
        bench.outbox.put(firing(numbered(number)))
    return bench


def test_no_more_attempts_at_once_than_allowed() -> None:
    """Four in flight of sixty, each delivered once."""
    receiver = Held(Clock(), OK, 1)
    bench = work(receiver, 60, max_in_flight=4)
    bench.run(MINUTE)
    assert 1 <= receiver.most <= 4
    assert {row.state for row in bench.outbox.rows} == {DeliveryState.DELIVERED}
    assert sorted(bench.settled) == sorted(numbered(number).id for number in range(60))


def test_the_batch_grows_with_every_success() -> None:
    """One, then two, then four: a receiver that is down does not get them all at once."""
    receiver = Held(Clock(), OK, 1)
    bench = work(receiver, 20, max_in_flight=8)
    sent = []
    for _ in range(3):
        bench.courier.step(bench.clock)
        bench.courier.finish(bench.clock)
        sent.append(len(receiver.sent))
    assert sent == [1, 3, 7]


def test_a_pause_returns_what_was_claimed_and_lasts(caplog: pytest.LogCaptureFixture) -> None:
    """A later answer to an attempt that began before does not end it; what was not begun is queued as before."""
    receiver = Held(Clock(), OK, 1)
    bench = work(receiver, 60, max_in_flight=4)
    for _ in range(3):
        bench.courier.step(bench.clock)
    answers = iter([BUSY])
    receiver.during = lambda: receiver.answers.__setitem__(0, next(answers, OK))
    before = len(receiver.sent)
    bench.run(89 * SECOND)
    assert before < len(receiver.sent) < 60
    assert bench.outbox.breaker(PLACE) == Breaker(PLACE, paused_until=T0 + 90 * SECOND)
    waiting = [row for row in bench.outbox.rows if row.state is DeliveryState.QUEUED]
    assert waiting
    assert {(row.attempt, row.next_at) for row in waiting} == {(0, T0)}
    bench.run(91 * SECOND)
    assert {row.state for row in bench.outbox.rows} == {DeliveryState.DELIVERED}


def test_a_destination_that_is_down_opens_the_breaker_once() -> None:
    """At most as many failures as attempts were in progress; then one probe at a time."""
    receiver = Held(Clock(), OK, 1)
    bench = work(receiver, 100, max_in_flight=4)
    for _ in range(4):
        bench.courier.step(bench.clock)
    receiver.answers = [DOWN]
    before = len(receiver.sent)
    bench.run(MINUTE)
    assert bench.outbox.breaker(PLACE).open_until > bench.clock()
    assert len(receiver.sent) - before <= 4 + 4 + 4


def test_the_rate_bounds_attempts_at_once() -> None:
    """Ten a second, whatever may be in flight."""
    receiver = Held(Clock(), OK, 1)
    bench = work(receiver, 60, max_in_flight=8, rate=RateLimit(10, SECOND))
    bench.run(3 * SECOND)
    assert 30 <= len(receiver.sent) <= 40


def test_a_stop_settles_what_is_in_progress_and_returns_the_rest() -> None:
    """Nothing is left leased."""
    receiver = Held(Clock(), OK, 1)
    bench = work(receiver, 60, max_in_flight=2)
    for _ in range(4):
        bench.courier.step(bench.clock)
    bench.courier.finish(bench.clock)
    states = {row.state for row in bench.outbox.rows}
    assert states == {DeliveryState.DELIVERED, DeliveryState.QUEUED}
    assert sum(row.state is DeliveryState.DELIVERED for row in bench.outbox.rows) == len(receiver.sent)


def test_a_claim_whose_lease_would_end_during_the_attempt_is_not_sent() -> None:
    """Each attempt takes twelve seconds of thirty: what waited too long returns to the queue first."""
    clock = Clock()
    receiver = Receiver(clock, [OK], takes=12 * SECOND)
    bench = work(receiver, 12)
    bench.run(30 * MINUTE)
    assert {row.state for row in bench.outbox.rows} == {DeliveryState.DELIVERED}
    assert {row.attempt for row in bench.outbox.rows} == {1}
    assert len(receiver.sent) == 12
