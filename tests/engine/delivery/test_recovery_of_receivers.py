"""Recovery of receivers: the first attempt comes within 30 s, however and for however long they were down."""

from __future__ import annotations

import random

import pytest

from bridge.domain.times import HOUR, SECOND, Duration
from bridge.ports import Delivery, Kind, Notification, Result
from tests.support.notifications import T0, numbered
from tests.support.outbox import Bench, Clock, FakeOutbox, Receiver

OK = Delivery(Result.DELIVERED, "ok", 200)
DOWN = {
    "network": (Delivery(Result.RETRY, "network"), 1),
    "hangs": (Delivery(Result.RETRY, "timeout"), 10 * SECOND),
    "503": (Delivery(Result.RETRY, "http_5xx", 503), 50),
    "503 that guesses": (Delivery(Result.RETRY, "http_5xx", 503, retry_after=HOUR), 50),
    "401": (Delivery(Result.DENIED, "unauthorized", 401), 50),
}


class Ill(Receiver):
    """Down until `until`, in ms after T0. takes: duration of an attempt until then."""

    def __init__(self, clock: Clock, answer: Delivery, takes: Duration, until: Duration) -> None:
        super().__init__(clock, [answer], takes)
        self.until = until

    def send(self, notification: Notification, now: int) -> Delivery:
        if now - T0 < self.until:
            return super().send(notification, now)
        self.sent.append((now, notification))
        return OK


@pytest.mark.parametrize("way", DOWN)
def test_a_receiver_that_recovers_is_tried_within_30_seconds(way: str) -> None:
    """Outages of 20 s to 2 h with one to five deliveries that wait (seeds 0 to 99)."""
    longest = 0
    for seed in range(100):
        rng, clock = random.Random(seed), Clock()
        answer, takes = DOWN[way]
        receiver = Ill(clock, answer, takes, rng.randint(20 * SECOND, 2 * HOUR))
        work = Bench(receiver, FakeOutbox(), clock, seed=seed)
        for number in range(rng.randint(1, 5)):
            work.outbox.put(Notification(numbered(number), Kind.FIRING, T0, 0))
        work.run(receiver.until + 2 * HOUR)
        first = min(at for at in receiver.instants if at >= receiver.until)
        longest = max(longest, first - receiver.until)
        assert not any(row.waits for row in work.outbox.rows), f"seed {seed}"
    assert longest <= 30 * SECOND


def test_a_429_is_kept_to_the_letter() -> None:
    """The receiver is up and states its rate."""
    clock = Clock()
    work = Bench(
        Receiver(clock, [Delivery(Result.RETRY, "rate_limited", 429, retry_after=90 * SECOND), OK]), FakeOutbox(), clock
    )
    work.outbox.put(Notification(numbered(0), Kind.FIRING, T0, 0))
    work.run(HOUR)
    assert work.receiver.instants == [0, 90 * SECOND]
