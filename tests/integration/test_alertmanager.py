"""Couriers and refreshers with a real Alertmanager and a real notification receiver behind it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from bridge.domain.request import HoldReason, RetrainRequest
from bridge.domain.times import HOUR, MINUTE
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.courier import Courier
from bridge.engine.delivery.resend import OpenAlert, Resender, ResendSettings
from bridge.ports import Alert, Breaker, DeliveryState, Result
from bridge.ports.request_alerts import FiringAlert, Sender
from bridge.sinks.alertmanager import AlertmanagerConfig, AlertmanagerSink
from bridge.sinks.base import SinkContext
from bridge.sinks.webhook import fingerprint
from tests.support.notifications import firing, request
from tests.support.outbox import FakeOutbox
from tests.support.receiver import Receiver
from tests.support.servers import Alertmanager, alertmanager, wait_until

PLACE = "ops/alertmanager/0"
CONFIG = """
route:
  receiver: hook
  group_by: [alertname, retrain_request_id]
  group_wait: {wait}
  group_interval: 1s
  repeat_interval: 1h
receivers:
- name: hook
  webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


def now() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Desk:
    """A bridge's side of one Alertmanager: queue, courier, refresher, and what the engine would say is open."""

    sink: AlertmanagerSink
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    known: list[OpenAlert] = field(default_factory=list)
    settings: DeliverySettings = field(default_factory=lambda: DeliverySettings(backoff_base=100, probe=500))

    def __post_init__(self) -> None:
        rng = random.Random(11)
        self.courier = Courier(PLACE, self.sink, self.outbox, "w", self.settings, lambda _: None, lambda _: None, rng)
        self.refresher = Resender(
            PLACE, self.sink, self, self.outbox, Sender("http://bridge.example"), self.settings,
            ResendSettings(resend_delay=200, settle=0), rng,
        )  # fmt: skip

    def open_alerts(self, destination: str, ended_since: int) -> Sequence[OpenAlert]:
        return self.known

    def notices(self, destination: str) -> Sequence[FiringAlert]:
        return []

    def generation(self) -> int:
        return 0

    def work_until(self, check: Callable[[], bool], what: str) -> None:
        """Step courier and refresher, as their threads would, until `check` holds."""

        def step() -> bool:
            self.courier.step(now)
            self.refresher.step(now)
            return check()

        wait_until(step, 30, what)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def server(hook: Receiver) -> Iterator[Alertmanager]:
    with alertmanager(CONFIG.format(url=hook.url, wait="0s")) as running:
        yield running


@pytest.fixture
def desk(server: Alertmanager) -> Iterator[Desk]:
    yield from open_desk(server)


def open_desk(server: Alertmanager) -> Iterator[Desk]:
    config = AlertmanagerConfig.model_validate({"url": server.url, "timeout": "5s"})
    sink = AlertmanagerSink(config, SinkContext("ops", 0, "http://bridge.example"))
    yield Desk(sink)
    sink.close()


def notified(hook: Receiver) -> list[tuple[str, str, str]]:
    """(status, alertname, request id) of every alert in every notification."""
    return [
        (item["status"], item["labels"]["alertname"], item["labels"]["retrain_request_id"])
        for got in list(hook.requests)
        for item in got.json()["alerts"]
    ]


def fresh() -> RetrainRequest:
    """A request of this moment: Alertmanager waits no group_wait for an alert that began longer ago."""
    return request(triggered_at=now(), episode_start=now())


def test_a_request_becomes_one_alert_and_one_notification(server: Alertmanager, desk: Desk, hook: Receiver) -> None:
    """Delivered through the queue: active under our labels and fingerprint, told once however often re-posted."""
    wanted = fresh()
    row = desk.outbox.put(firing(wanted), PLACE, at=now())
    desk.known = [OpenAlert(wanted, wanted.episode_start)]
    desk.work_until(lambda: len(notified(hook)) >= 1, "first notification")
    posts_until = now() + 1_500
    desk.work_until(lambda: now() > posts_until, "several re-posts")
    assert row.state is DeliveryState.DELIVERED
    found = server.alerts()
    assert [item["labels"]["retrain_request_id"] for item in found] == [wanted.id]
    assert found[0]["fingerprint"] == fingerprint(found[0]["labels"])
    assert found[0]["generatorURL"] == f"http://bridge.example/requests/{wanted.id}"
    assert notified(hook) == [("firing", "ModelRetrainRequested", wanted.id)]


def test_an_alertmanager_that_was_down_gets_the_request_when_it_is_back(
    server: Alertmanager, desk: Desk, hook: Receiver
) -> None:
    """Down when the rule first fires: the queue holds the request, the next probe delivers it, once."""
    server.kill()
    wanted = fresh()
    row = desk.outbox.put(firing(wanted), PLACE, at=now())
    desk.work_until(lambda: desk.outbox.breaker(PLACE).failures >= 3, "open breaker")
    server.start()
    desk.work_until(lambda: row.state is DeliveryState.DELIVERED, "delivery")
    desk.work_until(lambda: notified(hook) != [], "notification")
    assert notified(hook) == [("firing", "ModelRetrainRequested", wanted.id)]
    assert desk.outbox.breaker(PLACE) == Breaker(PLACE)


def test_an_alert_that_a_restart_lost_is_posted_again(hook: Receiver) -> None:
    """200 is not delivery: killed before group_wait is over, Alertmanager knows nothing; the refresh tells it again."""
    with alertmanager(CONFIG.format(url=hook.url, wait="6s")) as server:  # it is killed before that
        for desk in open_desk(server):
            wanted = fresh()
            row = desk.outbox.put(firing(wanted), PLACE, at=now())
            desk.courier.step(now)
            assert row.state is DeliveryState.DELIVERED
            server.kill()
            server.start()
            assert server.alerts() == []
            desk.known = [OpenAlert(wanted, wanted.episode_start, delivered_at=now())]
            desk.work_until(lambda: notified(hook) != [], "notification after the restart")
            assert notified(hook) == [("firing", "ModelRetrainRequested", wanted.id)]


def test_the_end_of_an_episode_resolves_the_alert(server: Alertmanager, desk: Desk, hook: Receiver) -> None:
    """One firing and one resolved notification; the alert is gone from the list."""
    wanted = fresh()
    desk.outbox.put(firing(wanted), PLACE, at=now())
    desk.known = [OpenAlert(wanted, wanted.episode_start, delivered_at=now())]
    desk.work_until(lambda: notified(hook) != [], "firing")
    desk.known = [OpenAlert(wanted, wanted.episode_start, ends_at=now(), delivered_at=now() - HOUR)]
    desk.work_until(lambda: len(notified(hook)) == 2, "resolved")
    assert [status for status, _, _ in notified(hook)] == ["firing", "resolved"]
    assert server.alerts() == []


def test_a_held_request_is_an_alert_of_its_own(server: Alertmanager, desk: Desk, hook: Receiver) -> None:
    """ModelRetrainHeld while a gate holds it; resolved, and followed by the request, when it is released."""
    wanted = fresh()
    desk.known = [OpenAlert(wanted, wanted.episode_start, held=HoldReason.COOLDOWN, held_until=now() + HOUR)]
    desk.work_until(lambda: len(notified(hook)) == 1, "held")
    assert server.alerts()[0]["annotations"]["reason"] == "cooldown"
    desk.known = [OpenAlert(wanted, wanted.episode_start, delivered_at=now())]
    desk.work_until(lambda: len(notified(hook)) == 3, "released and requested")
    assert sorted((status, name) for status, name, _ in notified(hook)) == [
        ("firing", "ModelRetrainHeld"),
        ("firing", "ModelRetrainRequested"),
        ("resolved", "ModelRetrainHeld"),
    ]


def test_one_bad_alert_does_not_cost_the_others(server: Alertmanager, desk: Desk) -> None:
    """Alertmanager refuses a whole POST for one bad label name: the others of a hundred are stored all the same."""
    at = now()
    alerts = [
        Alert({"alertname": "A", "retrain_request_id": str(number)}, {"x": "y"}, at - MINUTE, at + HOUR)
        for number in range(100)
    ]
    alerts[41] = Alert({"alertname": "A", "bad-name": "x"}, {}, at - MINUTE, at + HOUR)
    assert desk.sink.post_alerts(alerts, at).result is Result.DELIVERED
    ids = {item["labels"]["retrain_request_id"] for item in server.alerts()}
    assert ids == {str(number) for number in range(100) if number != 41}


def test_an_address_without_the_api_is_a_dead_letter(server: Alertmanager) -> None:
    """A wrong route prefix answers 404: named at once, not retried for three days."""
    sink = AlertmanagerSink(AlertmanagerConfig(url=f"{server.url}/nowhere"), SinkContext("ops", 0))
    delivery = sink.send(firing(fresh()), now())
    sink.close()
    assert (delivery.result, delivery.status) == (Result.DEAD, 404)
