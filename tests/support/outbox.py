"""A small outbox in memory, a destination that answers as told, and a clock: delivery without store or network."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from bridge.domain.times import Duration, Timestamp
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.courier import Courier
from bridge.ports import (
    AttemptReport,
    Breaker,
    Claim,
    Delivery,
    DeliveryRecord,
    DeliveryState,
    Notification,
    Outbox,
    QueueDepth,
    Result,
    Settlement,
)
from tests.support.notifications import T0

OutboxT = TypeVar("OutboxT", bound=Outbox)


@dataclass(slots=True)
class Row:
    """One delivery."""

    id: int
    destination: str
    notification: Notification
    queued_at: Timestamp
    next_at: Timestamp
    state: DeliveryState = DeliveryState.QUEUED
    attempt: int = 0
    worker: str = ""
    last: Delivery | None = None

    @property
    def waits(self) -> bool:
        return self.state not in {DeliveryState.DELIVERED, DeliveryState.DEAD}


@dataclass(slots=True)
class FakeOutbox:
    """ports.Outbox over a list."""

    rows: list[Row] = field(default_factory=list)
    breakers: dict[str, Breaker] = field(default_factory=dict)
    pulled: list[tuple[str, Timestamp]] = field(default_factory=list)

    def put(self, notification: Notification, destination: str = "ops/webhook/0", at: Timestamp = T0) -> Row:
        row = Row(len(self.rows) + 1, destination, notification, at, at)
        self.rows.append(row)
        return row

    def _waiting(self, destination: str) -> list[Row]:
        return [row for row in self.rows if row.destination == destination and row.waits]

    def claim(self, destination: str, worker: str, now: Timestamp, lease: Duration, limit: int = 1) -> list[Claim]:
        claims = []
        for row in [row for row in self._waiting(destination) if row.next_at <= now][:limit]:
            due_at, row.next_at = row.next_at, now + lease
            row.state, row.worker = DeliveryState.LEASED, worker
            row.attempt += 1
            claims.append(
                Claim(row.id, destination, row.notification, worker, row.attempt, row.queued_at, due_at=due_at)
            )
        return claims

    def claim_rest(self, claim: Claim, now: Timestamp, lease: Duration, limit: int = 99) -> list[Claim]:
        raise NotImplementedError

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        return [self._settle(item.claims[0], item) for item in settlements]

    def _settle(self, claim: Claim, item: Settlement) -> bool:
        row = self.rows[claim.id - 1]
        if not self._holds(row, claim):
            return False
        ends = {Result.DELIVERED: DeliveryState.DELIVERED, Result.DEAD: DeliveryState.DEAD}
        row.state, row.next_at = ends.get(item.delivery.result, DeliveryState.RETRY), item.next_at
        row.last = item.delivery
        return True

    @staticmethod
    def _holds(row: Row, claim: Claim) -> bool:
        return (row.worker, row.attempt, row.state) == (claim.worker, claim.attempt, DeliveryState.LEASED)

    def release(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            row = self.rows[claim.id - 1]
            if self._holds(row, claim):
                row.attempt, row.next_at = claim.attempt - 1, claim.due_at
                row.state = DeliveryState.RETRY if row.attempt else DeliveryState.QUEUED

    def next_due(self, destination: str) -> Timestamp | None:
        return min((row.next_at for row in self._waiting(destination)), default=None)

    def pull_forward(self, destination: str, now: Timestamp) -> None:
        self.pulled.append((destination, now))
        for row in self._waiting(destination):
            if row.state is DeliveryState.RETRY:
                row.next_at = now

    def retry(self, request_id: str, destinations: Collection[str], now: Timestamp) -> int:
        raise NotImplementedError

    def redrive(self, request_id: str, destination: str | None, now: Timestamp) -> int:
        raise NotImplementedError

    def discardable(self, destinations: Collection[str], now: Timestamp, limit: int) -> list[DeliveryRecord]:
        raise NotImplementedError

    def depths(self) -> Mapping[str, QueueDepth]:
        raise NotImplementedError

    def breaker(self, destination: str) -> Breaker:
        return self.breakers.get(destination, Breaker(destination))

    def save_breaker(self, breaker: Breaker) -> None:
        self.breakers[breaker.destination] = breaker


@dataclass(slots=True)
class Clock:
    """Simulated time."""

    at: Timestamp = T0

    def __call__(self) -> Timestamp:
        return self.at


class Receiver:
    """A sink that gives the answers it was told, the last one for ever; an exception is raised.

    takes: how long an attempt takes, on the clock. sent: (instant, parcel) of every attempt.
    """

    integration = "fake"
    sends_resolved = True
    reports_status = False

    def __init__(self, clock: Clock, answers: Iterable[Delivery | Exception], takes: Duration = 0) -> None:
        self.clock = clock
        self.answers = list(answers)
        self.takes = takes
        self.sent: list[tuple[Timestamp, Notification]] = []
        self.during: Callable[[], None] = lambda: None

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        self.sent.append((now, notification))
        self.clock.at += self.takes
        self.during()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass

    @property
    def instants(self) -> list[int]:
        """When the attempts began, in ms after T0."""
        return [at - T0 for at, _ in self.sent]


@dataclass(slots=True)
class Bench(Generic[OutboxT]):
    """A courier on an outbox, a clock and a receiver, with what it reported."""

    receiver: Receiver
    outbox: OutboxT
    clock: Clock
    settings: DeliverySettings = field(default_factory=DeliverySettings)
    destination: str = "ops/webhook/0"
    worker: str = "w1"
    seed: int = 1
    reports: list[AttemptReport] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    courier: Courier = field(init=False)

    def __post_init__(self) -> None:
        self.courier = Courier(
            self.destination,
            self.receiver,
            self.outbox,
            self.worker,
            self.settings,
            self.reports.append,
            self.settled.extend,
            random.Random(self.seed),
        )

    def run(self, until: Duration, most: int = 100_000) -> None:
        """Work as a thread would, with the clock jumping to the next work, up to `until` ms after T0."""
        for _ in range(most):
            following = self.courier.step(self.clock)
            if following is None or following > T0 + until:
                self.clock.at = max(self.clock.at, T0 + until)
                return
            self.clock.at = max(self.clock.at, following)
        raise AssertionError(f"still busy after {most} steps at T0 + {self.clock.at - T0} ms")


def settle(outbox: Outbox, claim: Claim, delivery: Delivery, at: Timestamp, next_at: Timestamp) -> bool:
    """Settle one claim."""
    return outbox.settle([Settlement([claim], delivery, at, next_at)])[0]


def bench(
    *answers: Delivery | Exception, takes: Duration = 0, settings: DeliverySettings | None = None
) -> Bench[FakeOutbox]:
    """A courier whose receiver answers as told."""
    clock = Clock()
    return Bench(Receiver(clock, answers, takes), FakeOutbox(), clock, settings or DeliverySettings())
