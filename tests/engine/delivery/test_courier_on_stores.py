"""Couriers on the shipped stores, with the guarantees of the simulated outbox."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.domain.request import RequestRecord, RequestState, RetrainRequest
from bridge.domain.times import HOUR, MINUTE, SECOND
from bridge.ports import Breaker, Delivery, DeliveryState, Kind, NewDelivery, Result, Store, TickChanges
from bridge.store.memory import MemoryStore
from bridge.store.sql import SqlStore
from tests.support.notifications import T0, numbered
from tests.support.outbox import Bench, Clock, Receiver, settle

PLACE = "ops/webhook/0"
OK = Delivery(Result.DELIVERED, "ok", 200)
DOWN = Delivery(Result.RETRY, "network", answer="connection refused")
BUSY = Delivery(Result.RETRY, "rate_limited", 429, retry_after=90 * SECOND)
REFUSED = Delivery(Result.DEAD, "http_4xx", 400, "no")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else SqlStore.open_sqlite(tmp_path / "bridge.db")
    yield opened
    opened.close()


def queue(store: Store, request: RetrainRequest, kind: Kind = Kind.FIRING, at: int = T0) -> None:
    record = RequestRecord(request, RequestState.REQUESTED, at, ("ops",), (PLACE,), sent_at=at)
    delivery = NewDelivery(request.id, PLACE, kind)
    store.commit(TickChanges("group", at, requests=[record], deliveries=[delivery], at=at))


def desk(store: Store, *answers: Delivery | Exception, clock: Clock | None = None, worker: str = "w1") -> Bench[Store]:
    clock = clock or Clock()
    return Bench(Receiver(clock, answers), store, clock, worker=worker)


def state(store: Store, request: RetrainRequest, kind: Kind = Kind.FIRING) -> DeliveryState:
    return next(item.state for item in store.deliveries(request.id) if item.kind is kind)


def test_random_outages_lose_nothing_and_repeat_nothing(store: Store) -> None:
    """Random ups and downs and a restart in the middle: each request is taken exactly once (seeds 0 to 4)."""
    for seed in range(5):
        rng = random.Random(seed)
        wanted = [numbered(100 * seed + number) for number in range(6)]
        outcomes: list[Delivery | Exception] = [OK, DOWN, BUSY, RuntimeError("x")]
        answers = [rng.choice(outcomes) for _ in range(20)]
        clock = Clock(T0 + seed * 24 * HOUR)
        for request in wanted:
            queue(store, request, at=clock.at)
        work = desk(store, *answers, OK, clock=clock)
        work.run(seed * 24 * HOUR + MINUTE)
        again = desk(store, *work.receiver.answers, clock=clock, worker="w2")
        again.run((seed + 1) * 24 * HOUR)
        assert [state(store, request) for request in wanted] == [DeliveryState.DELIVERED] * 6, f"seed {seed}"
        settled = [*work.settled, *again.settled]
        assert sorted(settled) == sorted(request.id for request in wanted), f"seed {seed}"


def test_an_outage_leaves_no_traces_in_the_breaker(store: Store) -> None:
    """Open while down, as it was after the first success."""
    queue(store, numbered(0))
    work = desk(store, DOWN, DOWN, DOWN, DOWN, OK)
    work.run(10 * SECOND + 5 * SECOND)
    assert store.breaker(PLACE).failures >= 3
    work.run(10 * MINUTE)
    assert store.breaker(PLACE) == Breaker(PLACE)


def test_the_end_of_an_episode_waits_for_its_beginning(store: Store) -> None:
    """Both queued while the receiver is down: firing first, then resolved."""
    queue(store, numbered(0))
    queue(store, numbered(0), Kind.RESOLVED, T0 + SECOND)
    work = desk(store, DOWN, DOWN, OK)
    work.run(10 * MINUTE)
    assert [notification.kind for _, notification in work.receiver.sent] == [
        Kind.FIRING,
        Kind.FIRING,
        Kind.FIRING,
        Kind.RESOLVED,
    ]


def test_the_end_of_what_was_refused_is_not_sent(store: Store) -> None:
    """The receiver never got it; the courier has no more work."""
    queue(store, numbered(0))
    queue(store, numbered(0), Kind.RESOLVED, T0 + SECOND)
    work = desk(store, REFUSED, OK)
    work.run(10 * MINUTE)
    assert [notification.kind for _, notification in work.receiver.sent] == [Kind.FIRING]
    assert work.courier.step(work.clock) is None


def test_a_redriven_dead_letter_is_sent_again_under_the_same_id(store: Store) -> None:
    """Days later, after a person repaired the receiver; it has its full time again, not the rest of the first."""
    queue(store, numbered(0))
    work = desk(store, REFUSED, DOWN, OK)
    work.run(80 * HOUR)
    assert state(store, numbered(0)) is DeliveryState.DEAD
    assert store.redrive(numbered(0).id, None, work.clock()) == 1
    work.run(81 * HOUR)
    assert state(store, numbered(0)) is DeliveryState.DELIVERED
    assert {notification.request.id for _, notification in work.receiver.sent} == {numbered(0).id}


def test_a_killed_process_repeats_under_the_same_id(store: Store) -> None:
    """Claimed and perhaps sent by a process that is gone: sent again after its lease, settled once."""
    queue(store, numbered(0))
    killed = store.claim(PLACE, "killed", T0, 30 * SECOND)[0]
    work = desk(store, OK)
    work.run(MINUTE)
    assert work.receiver.instants == [30_000]
    assert not settle(store, killed, REFUSED, T0 + MINUTE, T0 + MINUTE)
    assert state(store, numbered(0)) is DeliveryState.DELIVERED
