"""A resender whose alerts, answers and clock a test sets."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bridge.domain.times import Timestamp
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.resend import OpenAlert, Resender, ResendSettings
from bridge.ports import Alert, AttemptReport, Delivery, Result
from bridge.ports.request_alerts import FiringAlert, Sender
from tests.support.notifications import T0
from tests.support.outbox import Clock, FakeOutbox

PLACE = "ops/alertmanager/0"
OK = Delivery(Result.DELIVERED, "ok", 200)


@dataclass(slots=True)
class Bench:
    """Resender over a changeable set of open alerts, and an Alertmanager with scripted answers."""

    known: list[OpenAlert] = field(default_factory=list)
    answers: list[Delivery | Exception] = field(default_factory=lambda: [OK])
    clock: Clock = field(default_factory=Clock)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    posts: list[tuple[Timestamp, list[Alert]]] = field(default_factory=list)
    reports: list[AttemptReport] = field(default_factory=list)
    asked: list[tuple[str, Timestamp]] = field(default_factory=list)
    told: list[FiringAlert] = field(default_factory=list)
    news: int = 0

    def refresher(self, refresh: ResendSettings | None = None) -> Resender:
        return Resender(
            PLACE,
            self,
            self,
            self.outbox,
            Sender("http://bridge.example", {"cluster": "eu1"}),
            DeliverySettings(),
            refresh or ResendSettings(),
            random.Random(3),
            self.reports.append,
        )

    def open_alerts(self, destination: str, ended_since: Timestamp) -> Sequence[OpenAlert]:
        self.asked.append((destination, ended_since))
        return list(self.known)

    def notices(self, destination: str) -> Sequence[FiringAlert]:
        return list(self.told)

    def generation(self) -> int:
        return self.news

    def post_alerts(self, alerts: Iterable[Alert], now: Timestamp) -> Delivery:
        self.posts.append((now - T0, list(alerts)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run(self, refresher: Resender, until: int) -> None:
        while True:
            following = refresher.step(self.clock)
            if following > T0 + until:
                self.clock.at = T0 + until
                return
            self.clock.at = max(self.clock.at, following)

    @property
    def instants(self) -> list[int]:
        return [at for at, _ in self.posts]
