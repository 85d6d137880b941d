"""Delivery in batches: the same outcomes as one by one, under random failures, lost leases and kills between steps."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge.domain.errors import StoreError, StoreUncertainError
from bridge.domain.request import RequestRecord, RequestState
from bridge.domain.times import HOUR, MINUTE, SECOND, Timestamp
from bridge.engine.delivery import courier as couriers
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.courier import Courier
from bridge.ports import (
    Delivery,
    DeliveryState,
    Kind,
    NewDelivery,
    Notification,
    RateLimit,
    Result,
    Settlement,
    Store,
    TickChanges,
)
from bridge.store.memory import MemoryStore
from bridge.store.sql import SqlStore
from tests.support.notifications import T0, numbered
from tests.support.outbox import Clock

PLACE = "ops/webhook/0"
OK = Delivery(Result.DELIVERED, "ok", 200, reference="run-1")
OUTCOMES = [
    *[OK] * 4,
    Delivery(Result.RETRY, "network"),
    Delivery(Result.RETRY, "http_5xx", 503),
    Delivery(Result.DENIED, "unauthorized", 401),
    Delivery(Result.RETRY, "rate_limited", 429, retry_after=20 * SECOND),
    Delivery(Result.DEAD, "http_4xx", 400),
]
Key = tuple[str, Kind]


class Killed(BaseException):
    """End of the process between two steps."""


@dataclass
class Scripted:
    """Receiver whose outcome depends on the delivery and on how often it was sent, and not on the order."""

    seed: int
    sent: list[Key] = field(default_factory=list)
    during: Callable[[], None] = lambda: None
    integration = "fake"
    sends_resolved = True
    reports_status = False

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        """Record the delivery and answer."""
        key = (notification.request.id, notification.kind)
        self.sent.append(key)
        self.during()
        return random.Random(f"{self.seed} {key} {self.sent.count(key)}").choice(OUTCOMES)

    def close(self) -> None: ...


def filled(store: Store, requests: int) -> Store:
    """Queue requests, each with the end of its episode."""
    for number in range(requests):
        record = RequestRecord(numbered(number), RequestState.REQUESTED, T0, ("ops",), (PLACE,), sent_at=T0)
        queued = [NewDelivery(record.id, PLACE, kind) for kind in (Kind.FIRING, Kind.RESOLVED)]
        store.commit(TickChanges("group", T0, requests=[record], deliveries=queued, at=T0))
    return store


def courier_of(store: Any, sink: Any, settings: DeliverySettings, seed: int, worker: str = "w1") -> Courier:
    return Courier(
        PLACE, sink, store, worker, settings, lambda _: None, lambda _: None, random.Random(seed)
    )  # fmt: skip


def run(courier: Courier, clock: Clock) -> None:
    """Work until nothing is left."""
    for _ in range(20_000):
        try:
            following = courier.step(clock)
        except StoreError:
            continue
        if following is None:
            courier.finish(clock)
            return
        clock.at = max(clock.at, following)
    raise AssertionError("still busy")


def settled(store: Store, requests: int) -> list[tuple[object, ...]]:
    """What the store holds in the end."""
    found: list[tuple[object, ...]] = []
    for number in range(requests):
        record = store.request(numbered(number).id)
        assert record is not None
        found.append((record.state, record.reference, bool(record.delivered_at)))
        found += [
            (item.kind, item.state, item.reason, item.status, item.attempts) for item in store.deliveries(record.id)
        ]
    return found


def in_order(sent: Sequence[Key]) -> bool:
    """Return whether no end of an episode was sent before the last attempt of its beginning."""
    last = {key: index for index, key in enumerate(sent)}
    return all(
        sent.index(key) > last[key[0], Kind.FIRING] for key in last if key[1] is Kind.RESOLVED
    )  # fmt: skip


@pytest.fixture(params=["memory", "sqlite"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def new() -> Store:
        sqlite = request.param == "sqlite"
        opened.append(SqlStore.open_sqlite(tmp_path / f"{len(opened)}.db") if sqlite else MemoryStore())
        return opened[-1]

    yield new
    for store in opened:
        store.close()


@pytest.mark.parametrize("at_once", [1, 5])
@pytest.mark.parametrize("seed", range(3))
def test_a_batch_settles_what_single_deliveries_settle(
    new_store: Callable[[], Store], at_once: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same states, reasons and attempts; each is sent as often, and the order within an episode is kept."""
    requests = 25
    rate = RateLimit(10, SECOND) if seed % 2 else None
    ends, sent = [], []
    for limit, settings in (
        (1, DeliverySettings(rate=rate)),
        (couriers.BATCH, DeliverySettings(rate=rate, max_in_flight=at_once)),
    ):
        monkeypatch.setattr(couriers, "BATCH", limit)
        store, sink = filled(new_store(), requests), Scripted(seed)
        work = courier_of(store, sink, settings, seed)
        if limit == 1:
            work._most = 1
        run(work, Clock())
        assert in_order(sink.sent), f"seed {seed}"
        ends.append(settled(store, requests))
        sent.append(Counter(sink.sent))
        monkeypatch.undo()
    assert ends[0] == ends[1], f"seed {seed}"
    assert sent[0] == sent[1], f"seed {seed}"


class Faulty:
    """Store that fails before or after a write, at random; what it has settled is recorded."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.rng = random.Random(seed)
        self.over: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        original = getattr(self.store, name)
        if name not in {"claim", "settle", "release", "pull_forward"}:
            return original

        def write(*args: Any, **kwargs: Any) -> Any:
            fate = self.rng.random()
            if fate < 0.1:
                raise StoreError("full")
            result = original(*args, **kwargs)
            if name == "settle":
                self.note(args[0], result)
            if fate < 0.2:
                raise StoreUncertainError("lost at COMMIT")
            return result

        return write

    def note(self, settlements: Sequence[Settlement], results: Sequence[bool]) -> None:
        for item, kept in zip(settlements, results, strict=True):
            if kept and item.delivery.result in {Result.DELIVERED, Result.DEAD}:
                ids = {claim.id for claim in item.claims}
                assert not ids & self.over, "settled twice"
                self.over |= ids


@pytest.mark.parametrize("at_once", [1, 5])
@pytest.mark.parametrize("seed", range(4))
def test_faults_of_the_store_and_lost_leases_settle_each_delivery_once(
    new_store: Callable[[], Store], at_once: int, seed: int
) -> None:
    """Two couriers with different clocks take each other's leases; everything ends, once."""
    requests = 15
    store = Faulty(filled(new_store(), requests), seed)
    sink, rng, clock = Scripted(seed), random.Random(seed), Clock()
    settings = DeliverySettings(max_in_flight=at_once)
    work = [courier_of(store, sink, settings, seed, worker) for worker in ("w1", "w2")]

    def hang() -> None:
        clock.at += rng.choice([0, 0, 0, 40 * SECOND])  # the lease ends meanwhile

    sink.during = hang
    ended: set[int] = set()
    for _ in range(20_000):
        number = rng.randrange(2)
        try:
            following = work[number].step(clock)
        except StoreError:
            ended.discard(number)
            continue
        (ended.add if following is None else ended.discard)(number)
        if len(ended) == 2:
            break
        clock.at = max(clock.at, min(following or clock.at, clock.at + MINUTE))
    assert len(ended) == 2, f"seed {seed}"
    for one in work:
        one.finish(clock)
    assert set(sink.sent) >= {(numbered(number).id, Kind.FIRING) for number in range(requests)}
    states = {item.state for number in range(requests) for item in store.deliveries(numbered(number).id)}
    assert states <= {DeliveryState.DELIVERED, DeliveryState.DEAD}, f"seed {seed}"
    assert len(store.over) >= requests


class Deadly:
    """Store and receiver of a process that is killed before or after the n-th of its steps."""

    def __init__(self, target: Any, steps: Iterator[int], last: int, names: set[str]) -> None:
        self.target, self.steps, self.last, self.names = target, steps, last, names

    def __getattr__(self, name: str) -> Any:
        original = getattr(self.target, name)
        if name not in self.names:
            return original

        def step(*args: Any, **kwargs: Any) -> Any:
            if next(self.steps) == self.last:
                raise Killed
            result = original(*args, **kwargs)
            if next(self.steps) == self.last:
                raise Killed
            return result

        return step


def test_killed_between_any_two_steps_of_a_batch_everything_arrives(new_store: Callable[[], Store]) -> None:
    """Claim, each send, settle, release and breaker: sent at most once more, settled once, nothing lost."""
    requests, kills = 4, 0
    writes = {"claim", "settle", "release", "pull_forward", "save_breaker"}
    for last in count():
        store, sink, clock, steps = filled(new_store(), requests), Scripted(3), Clock(), count()
        sink.send = _taking(sink)  # type: ignore[method-assign, assignment]
        work = courier_of(
            Deadly(store, steps, last, writes), Deadly(sink, steps, last, {"send"}), DeliverySettings(), 1
        )
        try:
            run(work, clock)
        except Killed:
            kills += 1
        else:
            break
        clock.at += HOUR
        run(courier_of(store, sink, DeliverySettings(), 1, "w2"), clock)
        assert in_order(sink.sent)
        counts = Counter(sink.sent)
        assert set(counts.values()) <= {1, 2}, f"killed at step {last}: {counts}"
        assert len(counts) == 2 * requests
        ends = {item.state for number in range(requests) for item in store.deliveries(numbered(number).id)}
        assert ends == {DeliveryState.DELIVERED}, f"killed at step {last}"
    assert kills > 4 * requests


def _taking(sink: Scripted) -> Callable[[Notification, Timestamp], Delivery]:
    def send(notification: Notification, now: Timestamp) -> Delivery:
        sink.sent.append((notification.request.id, notification.kind))
        return OK

    return send
