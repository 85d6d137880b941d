"""Couriers on a simulated clock: effect of each outcome on the delivery, its destination and the others."""

from __future__ import annotations

import logging
import random
from itertools import pairwise

import pytest

from bridge.domain.times import HOUR, MINUTE, SECOND
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.ports import Breaker, Claim, Delivery, DeliveryState, RateLimit, Result
from tests.support.notifications import REQUEST, T0, firing, numbered
from tests.support.outbox import Bench, FakeOutbox, Receiver, bench, settle

PLACE = "ops/webhook/0"
OK = Delivery(Result.DELIVERED, "ok", 200)
DOWN = Delivery(Result.RETRY, "network", answer="connection refused")
BUSY = Delivery(Result.RETRY, "rate_limited", 429, retry_after=90 * SECOND)
DENIED = Delivery(Result.DENIED, "unauthorized", 401)
HELD = Delivery(Result.HELD, "unknown_outcome", retry_after=MINUTE)
REFUSED = Delivery(Result.DEAD, "http_4xx", 400, "no such pipeline")


def test_a_queued_delivery_is_sent_once_and_settled() -> None:
    """One attempt, recorded as delivered and reported with its duration; its request counts as settled."""
    work = bench(OK, takes=40)
    row = work.outbox.put(firing())
    work.run(HOUR)
    assert work.receiver.instants == [0]
    assert row.state is DeliveryState.DELIVERED
    assert [(item.destination, item.seconds, item.dead, item.request_id) for item in work.reports] == [
        (PLACE, 0.04, False, REQUEST.id)
    ]
    assert work.settled == [REQUEST.id]


def test_an_empty_queue_requests_no_more_work() -> None:
    """None: the thread sleeps until it is woken."""
    assert bench(OK).courier.step(lambda: T0) is None


def test_one_step_is_one_attempt() -> None:
    """So that a stop takes effect between two attempts."""
    work = bench(OK)
    for number in range(3):
        work.outbox.put(firing(numbered(number)))
    following = work.courier.step(work.clock)
    assert len(work.receiver.sent) == 1
    assert following is not None
    assert following <= work.clock()


def test_a_receiver_that_was_down_gets_the_request_within_thirty_seconds_of_being_back() -> None:
    """Down when the rule first fires, up after 8 s: delivered at the next try, at most 30 s later (50 seeds)."""
    for seed in range(50):
        work = bench(DOWN)
        work = Bench(work.receiver, work.outbox, work.clock, seed=seed)
        work.outbox.put(firing())
        work.run(8 * SECOND)
        work.receiver.answers = [OK]
        work.run(HOUR)
        delivered_at = work.receiver.instants[-1]
        assert work.outbox.rows[0].state is DeliveryState.DELIVERED
        assert delivered_at <= 38 * SECOND, f"seed {seed}: tries at {work.receiver.instants}"


@pytest.mark.parametrize("failures", [1, 3, 20])
def test_tries_of_a_destination_that_is_down_are_never_more_than_thirty_seconds_apart(failures: int) -> None:
    """Whatever the breaker's threshold and however long single deliveries back off, over two days down."""
    work = bench(DOWN, takes=2 * SECOND, settings=DeliverySettings(breaker_failures=failures))
    work.outbox.put(firing())
    work.run(48 * HOUR)
    tries = work.receiver.instants
    gaps = [after - before for before, after in pairwise(tries)]
    assert len(tries) > 4_000
    assert max(gaps) <= 30 * SECOND


def test_a_success_pulls_the_queue_forward() -> None:
    """After an outage of an hour all waiting deliveries are sent at once, not when their back-off ends."""
    work = bench(DOWN)
    for number in range(20):
        work.outbox.put(firing(numbered(number)))
    work.run(HOUR)
    work.receiver.answers = [OK]
    work.run(HOUR + 31 * SECOND)
    assert {row.state for row in work.outbox.rows} == {DeliveryState.DELIVERED}
    assert work.outbox.breaker(PLACE) == Breaker(PLACE)


def test_an_open_breaker_lets_one_probe_through() -> None:
    """A hundred waiting requests do not become a hundred time-outs a minute."""
    work = bench(DOWN)
    for number in range(100):
        work.outbox.put(firing(numbered(number)))
    work.run(MINUTE)
    assert 4 <= len(work.receiver.sent) <= 8


def test_the_breaker_outlives_the_process() -> None:
    """A restarted bridge continues to probe; it does not begin with a burst of failures."""
    work = bench(DOWN)
    for number in range(10):
        work.outbox.put(firing(numbered(number)))
    work.run(5 * MINUTE)
    opened = work.outbox.breaker(PLACE)
    again = Bench(work.receiver, work.outbox, work.clock, worker="w2")
    before = len(work.receiver.sent)
    following = again.courier.step(again.clock)
    assert opened.open_until > work.clock()
    assert following == opened.open_until
    assert len(work.receiver.sent) == before


def test_a_fresh_process_probes_a_failing_destination_at_once() -> None:
    """A delivery that backs off is pulled forward when the last attempt is unknown."""
    work = bench(OK)
    row = work.outbox.put(firing())
    row.next_at, row.state = T0 + 10 * MINUTE, DeliveryState.RETRY
    work.outbox.save_breaker(Breaker(PLACE, failures=1))
    work.run(SECOND)
    assert work.receiver.instants == [0]


def test_a_poisoned_delivery_does_not_stop_the_ones_behind_it() -> None:
    """One request that the receiver answers with 500 for ever: the others are delivered, it backs off to 15 minutes."""
    work = bench(OK)
    poison = firing(numbered(0))
    work.outbox.put(poison)

    def answer() -> None:
        bad = work.receiver.sent[-1][1] is poison
        work.receiver.answers = [Delivery(Result.RETRY, "http_5xx", 500) if bad else OK]

    work.receiver.during = answer
    for number in range(1, 30):
        work.outbox.put(firing(numbered(number)), at=T0 + number * MINUTE)
    work.run(HOUR)
    assert [row.state for row in work.outbox.rows[1:]] == [DeliveryState.DELIVERED] * 29
    assert work.outbox.rows[0].state is DeliveryState.RETRY


def test_retry_after_pauses_the_whole_destination() -> None:
    """429 with 90 s: nothing is sent to it before, then everything, though others were due at once."""
    work = bench(BUSY, OK)
    for number in range(3):
        work.outbox.put(firing(numbered(number)))
    work.run(89 * SECOND)
    assert work.receiver.instants == [0]
    assert work.outbox.breaker(PLACE).paused_until == T0 + 90 * SECOND
    work.run(91 * SECOND)
    assert work.receiver.instants == [0, 90_000, 90_000, 90_000]


def test_a_pause_outlives_the_process() -> None:
    """A restart does not shorten the pause of the receiver."""
    work = bench(BUSY, OK)
    work.outbox.put(firing())
    work.run(10 * SECOND)
    again = Bench(work.receiver, work.outbox, work.clock, worker="w2")
    again.run(89 * SECOND)
    assert work.receiver.instants == [0]
    again.run(91 * SECOND)
    assert work.receiver.instants == [0, 90_000]


def test_a_retry_after_does_not_open_the_breaker() -> None:
    """The receiver is up: the pause protects it, and no back-off is added."""
    work = bench(*[BUSY] * 12, OK)
    work.outbox.put(firing())
    work.run(HOUR)
    assert work.receiver.instants == [number * 90_000 for number in range(13)]
    assert work.outbox.rows[0].state is DeliveryState.DELIVERED


def test_a_refused_credential_is_read_again_once_at_once_and_then_slowly(caplog: pytest.LogCaptureFixture) -> None:
    """401: a second try at once (the file may just have been rotated), then one in 5 minutes, and an error logged."""
    work = bench(DENIED)
    for number in range(3):
        work.outbox.put(firing(numbered(number)))
    with caplog.at_level(logging.ERROR):
        work.run(11 * MINUTE)
    assert work.receiver.instants[:5] == [0, 0, 30_000, 60_000, 90_000]
    assert [record.getMessage() for record in caplog.records] == ["delivery failed, will be retried"]
    assert caplog.records[0].__dict__["reason"] == "unauthorized"


def test_a_rotated_credential_is_used_at_the_second_try() -> None:
    """A token that expired a moment ago costs one attempt, not five minutes."""
    work = bench(DENIED, OK)
    work.outbox.put(firing())
    work.run(SECOND)
    assert work.receiver.instants == [0, 0]
    assert work.outbox.rows[0].state is DeliveryState.DELIVERED


def test_a_refusal_is_a_dead_letter_and_the_next_delivery_continues() -> None:
    """400 is final for this request, and no reason to doubt the receiver."""
    work = bench(REFUSED, OK)
    first, second = work.outbox.put(firing(numbered(0))), work.outbox.put(firing(numbered(1)))
    work.run(SECOND)
    assert (first.state, second.state) == (DeliveryState.DEAD, DeliveryState.DELIVERED)
    assert first.last == REFUSED
    assert [item.dead for item in work.reports] == [True, False]
    assert work.settled == [numbered(0).id, numbered(1).id]


def test_a_dead_letter_closes_an_open_breaker() -> None:
    """An answer of any kind shows that the receiver is back."""
    work = bench(DOWN, DOWN, DOWN, REFUSED, OK)
    for number in range(3):
        work.outbox.put(firing(numbered(number)))
    work.run(2 * MINUTE)
    assert sorted(row.state for row in work.outbox.rows) == ["dead", "delivered", "delivered"]
    assert work.receiver.instants[3] == work.receiver.instants[5]


def test_a_delivery_is_dead_after_seventy_two_hours() -> None:
    """Tried for three days, then dead with its last outcome and the reason."""
    work = bench(DOWN)
    row = work.outbox.put(firing())
    states = []
    for hours in (71, 73):
        work.run(hours * HOUR)
        states.append(row.state)
    assert states == [DeliveryState.RETRY, DeliveryState.DEAD]
    assert row.last == Delivery(Result.DEAD, "network", answer="gave up after 3d: connection refused")
    assert work.settled == [REQUEST.id]


def test_a_rate_limit_spaces_the_attempts() -> None:
    """2 per second: ten deliveries take four seconds after the first burst."""
    work = bench(OK, settings=DeliverySettings(rate=RateLimit(2, SECOND)))
    for number in range(10):
        work.outbox.put(firing(numbered(number)))
    work.run(MINUTE)
    tries = work.receiver.instants
    assert tries[:2] == [0, 0]
    assert all(after - before >= 500 for before, after in pairwise(tries[1:]))
    assert 4_000 <= tries[-1] <= 4_050


def test_a_sink_that_raises_is_retried_and_does_not_stop_the_courier(caplog: pytest.LogCaptureFixture) -> None:
    """A defect in a sink loses neither the request nor the thread: RETRY with reason `internal`, logged."""
    work = bench(RuntimeError("secret"), OK)
    work.outbox.put(firing())
    work.run(MINUTE)
    assert [item.delivery.reason for item in work.reports] == ["internal", "ok"]
    assert work.reports[0].delivery.answer == "RuntimeError"
    assert "sink failed" in caplog.text


def test_a_crash_between_claim_and_send_is_repeated_when_the_lease_ends() -> None:
    """Claimed by a process that was killed: sent by the next one, under the same id."""
    work = bench(OK)
    work.outbox.put(firing())
    work.outbox.claim(PLACE, "killed", T0, 30 * SECOND)
    work.run(29 * SECOND)
    assert work.receiver.sent == []
    work.run(31 * SECOND)
    assert [(at - T0, notification.request.id) for at, notification in work.receiver.sent] == [(30_000, REQUEST.id)]


def test_a_crash_between_send_and_settle_sends_the_same_request_again() -> None:
    """Killed after the POST: re-sent with the same id, so that the receiver can drop it."""
    work = bench(OK)
    work.outbox.put(firing())
    killed = work.outbox.claim(PLACE, "killed", T0, 30 * SECOND)[0]
    work.receiver.send(killed.notification, T0)
    work.run(MINUTE)
    assert [notification.request.id for _, notification in work.receiver.sent] == [REQUEST.id, REQUEST.id]
    assert work.outbox.rows[0].state is DeliveryState.DELIVERED


def test_an_overtaken_worker_settles_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Its lease ended while it hung, and another worker sent it: its outcome changes nothing and is not reported."""
    work = bench(REFUSED, takes=31 * SECOND)
    row = work.outbox.put(firing())

    def other_worker() -> None:
        claim = work.outbox.claim(PLACE, "w2", work.clock(), 30 * SECOND)[0]
        settle(work.outbox, claim, OK, work.clock(), work.clock())

    work.receiver.during = other_worker
    work.courier.step(work.clock)
    assert row.state is DeliveryState.DELIVERED
    assert work.settled == []
    assert "settled by another worker" in caplog.text


def test_a_dead_destination_holds_up_no_other() -> None:
    """Two queues in one outbox: one waits for its destination, the other is delivered at once."""
    down = bench(DOWN)
    good = Bench(Receiver(down.clock, [OK]), down.outbox, down.clock, destination="ops/coordinator/0")
    for number in range(5):
        down.outbox.put(firing(numbered(number)), PLACE)
        down.outbox.put(firing(numbered(number)), "ops/coordinator/0")
    down.courier.step(down.clock)
    good.run(0)
    assert len(good.receiver.sent) == 5
    assert good.outbox.breaker("ops/coordinator/0") == Breaker("ops/coordinator/0")


def test_a_destination_that_stays_down_reports_it_once(caplog: pytest.LogCaptureFixture) -> None:
    """Logged when the outcome changes, not at every attempt; each delivered request is logged."""
    work = bench(*[DOWN] * 10, Delivery(Result.RETRY, "http_5xx", 503), OK)
    work.outbox.put(firing())
    with caplog.at_level(logging.INFO):
        work.run(HOUR)
    told = [(record.getMessage(), record.__dict__["reason"]) for record in caplog.records]
    assert told == [
        ("delivery failed, will be retried", "network"),
        ("delivery failed, will be retried", "http_5xx"),
        ("delivered", "ok"),
    ]


class _Leased(FakeOutbox):
    """Always something due, never anything to claim."""

    def claim(self, destination: str, worker: str, now: int, lease: int, limit: int = 1) -> list[Claim]:
        return []


def test_what_is_due_but_cannot_be_claimed_is_not_requested_in_a_tight_loop() -> None:
    """Leased elsewhere, or waiting for its firing delivery: look again in a second."""
    work = bench(OK)
    work = Bench(work.receiver, _Leased(), work.clock)
    work.outbox.put(firing())
    assert work.courier.step(work.clock) == T0 + SECOND


def test_a_probe_without_anything_to_claim_waits_for_its_next_turn() -> None:
    """All deliveries leased by a killed process while the breaker is open: no busy loop."""
    work = bench(OK)
    work = Bench(work.receiver, _Leased(), work.clock)
    row = work.outbox.put(firing())
    row.next_at = T0 + HOUR
    work.outbox.save_breaker(Breaker(PLACE, failures=3, open_until=T0))
    assert work.courier.step(work.clock) == T0 + 30 * SECOND


def test_random_outages_lose_nothing() -> None:
    """Forty random histories of up and down: every request is delivered in the end, under its own id, once settled."""
    for seed in range(40):
        rng = random.Random(seed)
        work = bench(OK, takes=50)
        for number in range(10):
            work.outbox.put(firing(numbered(number)), at=T0 + rng.randint(0, HOUR))
        answers = [OK, DOWN, BUSY, DENIED, Delivery(Result.RETRY, "http_5xx", 502), RuntimeError("x")]
        work.receiver.answers = [rng.choice(answers) for _ in range(60)] + [OK]  # type: ignore[assignment]
        work.run(24 * HOUR)
        assert {row.state for row in work.outbox.rows} == {DeliveryState.DELIVERED}, f"seed {seed}"
        assert sorted(work.settled) == sorted(numbered(number).id for number in range(10)), f"seed {seed}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lease": 10_000}, "lease .10000 ms. must be longer than attempt_deadline"),
        ({"breaker_failures": 0}, "breaker_failures must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, int], message: str) -> None:
    """A lease that ends before the attempt does would send everything twice."""
    with pytest.raises(ValueError, match=message):
        DeliverySettings(**changes)  # type: ignore[arg-type]


def test_a_held_delivery_waits_without_an_end_and_holds_up_nothing() -> None:
    """It is tried again after the time that the sink gave, also after give_up, and the breaker stays closed."""
    work = bench(HELD)
    row = work.outbox.put(firing())
    work.run(80 * HOUR)
    assert row.state is DeliveryState.RETRY
    assert work.receiver.instants[:3] == [0, MINUTE, 2 * MINUTE]
    assert work.outbox.breaker(PLACE) == Breaker(PLACE)
