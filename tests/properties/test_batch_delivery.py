"""Delivery in batches, several at once, equals delivery one by one: under failures and kills, with equal outcomes."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path

import pytest

from bridge.domain.errors import StoreError
from bridge.domain.request import RequestRecord, RequestState
from bridge.domain.times import DAY, MINUTE, SECOND
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.ports import Delivery, DeliveryState, Kind, NewDelivery, Notification, Result, Store, TickChanges
from bridge.store.memory import MemoryStore
from bridge.store.sql import SqlStore
from tests.support.notifications import T0, numbered
from tests.support.outbox import Bench, Clock, Receiver

PLACE = "ops/webhook/0"
OK = Delivery(Result.DELIVERED, "ok", 200)
REFUSED = Delivery(Result.DEAD, "http_4xx", 400, "no")
FAILURES: list[Delivery | Exception] = [
    Delivery(Result.RETRY, "network"), Delivery(Result.RETRY, "rate_limited", 429, retry_after=20 * SECOND),
    Delivery(Result.DENIED, "unauthorized", 401), RuntimeError("a defect"),
]  # fmt: skip
Key = tuple[str, Kind]


class Fated(Receiver):
    """Receiver whose answer depends on the delivery and its number of attempts alone, whatever their order."""

    def __init__(self, clock: Clock, seed: int) -> None:
        super().__init__(clock, [OK])
        self.seed, self.attempts, self.order, self.lock = seed, Counter[Key](), list[Key](), threading.Lock()

    def send(self, notification: Notification, now: int) -> Delivery:
        key = (notification.request.id, notification.kind)
        with self.lock:
            self.attempts[key] += 1
            self.order.append(key)
            number = self.attempts[key]
        fate = random.Random(f"{self.seed} {key}")
        fails, end = fate.choice([0, 0, 0, 1, 2, 3]), fate.choice([OK, OK, OK, OK, REFUSED])
        if number > fails:
            return end
        answer = fate.choices(FAILURES, k=fails)[number - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def queue(store: Store, rng: random.Random, count: int) -> list[Key]:
    """Queue requests, and the ends of some of their episodes."""
    keys = []
    for number in range(count):
        request = numbered(number)
        kinds = [Kind.FIRING, Kind.RESOLVED][: rng.choice([1, 2])]
        record = RequestRecord(request, RequestState.REQUESTED, T0, ("ops",), (PLACE,), sent_at=T0)
        for kind in kinds:
            delivery = NewDelivery(request.id, PLACE, kind)
            store.commit(TickChanges("group", T0, requests=[record], deliveries=[delivery], at=T0))
            keys.append((request.id, kind))
    return keys


def delivered(
    store: Store, seed: int, at_once: int, monkeypatch: pytest.MonkeyPatch, *, faults: bool
) -> tuple[dict[Key, DeliveryState], Fated]:
    """Deliver everything. faults: settling fails at times, and the worker is replaced, as after kill -9."""
    rng = random.Random(seed)
    keys = queue(store, rng, 30)
    clock = Clock()
    receiver = Fated(clock, seed)
    settings = DeliverySettings(max_in_flight=at_once)
    settle = store.settle

    def faulty(*args: object) -> list[bool]:
        if faults and rng.random() < 0.2:
            raise StoreError("no connection")
        return settle(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "settle", faulty)
    worker = 0
    bench = Bench(receiver, store, clock, settings, worker="w0", seed=seed)
    for _ in range(5_000):
        try:
            following = bench.courier.step(clock)
        except StoreError:
            continue
        if faults and rng.random() < 0.05:
            worker += 1
            clock.at += 10 * MINUTE  # the leases of the killed worker end
            bench = Bench(receiver, store, clock, settings, worker=f"w{worker}", seed=seed)
        elif following is None:
            break
        else:
            clock.at = max(clock.at, following)
    assert clock.at < T0 + 3 * DAY, "given up"
    states = {}
    for id_, kind in keys:
        states[id_, kind] = next(item.state for item in store.deliveries(id_) if item.kind is kind)
    return states, receiver


def opened(kind: str, folder: Path) -> Store:
    return MemoryStore() if kind == "memory" else SqlStore.open_sqlite(folder / "bridge.db")


@pytest.mark.parametrize(("kind", "seeds"), [("memory", range(5)), ("sqlite", range(5, 6))])
def test_batches_deliver_as_one_by_one(
    kind: str, seeds: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same deliveries arrive and the same are refused, each as often; the end of an episode after its beginning."""
    for seed in seeds:
        found = []
        for number, (at_once, faults) in enumerate([(1, False), (4, False), (4, True)]):
            folder = tmp_path / f"{seed} {number}"
            folder.mkdir()
            store = opened(kind, folder)
            found.append(delivered(store, seed, at_once, monkeypatch, faults=faults))
            store.close()
        (single, one), (batch, many), (killed, repeated) = found
        assert batch == single, f"seed {seed}"
        assert killed == single, f"seed {seed}"
        assert many.attempts == one.attempts, f"seed {seed}"
        assert all(repeated.attempts[key] >= count for key, count in one.attempts.items()), f"seed {seed}"
        for receiver in (one, many, repeated):
            for (id_, which), state in single.items():
                if which is Kind.RESOLVED and (id_, which) in receiver.attempts:
                    assert single[id_, Kind.FIRING] is DeliveryState.DELIVERED, f"seed {seed}: {state}"
                    begun = receiver.order.index((id_, which))
                    assert (id_, Kind.FIRING) not in receiver.order[begun:], f"seed {seed}"
