"""Delivery workers of a configuration, and its adapters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.app.adapters import Adapters, build_adapters, silence_targets
from bridge.app.workers import build_workers, warn_of_unserved
from bridge.config.load import load
from bridge.domain.errors import StoreError
from bridge.domain.model import ModelTable
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.courier import Courier
from bridge.engine.delivery.open_alerts import OpenAlertIndex
from bridge.engine.delivery.resend import Resender
from bridge.ports import QueueDepth
from bridge.store.memory import MemoryStore
from tests.support.world import World, group, rule

CONFIG = """
prometheus: {url: http://localhost:9090}
route: {receiver: team}
receivers:
- name: team
  alertmanager_configs: [{url: http://localhost:9093}]
  webhook_configs: [{url: http://localhost:9000/hook, timeout: 40s, rate_limit: {requests: 2, per: 1s}}]
"""


@pytest.fixture
def adapters(tmp_path: Path) -> Iterator[Adapters]:
    file = tmp_path / "bridge.yml"
    file.write_text(CONFIG)
    built = build_adapters(load(file), ModelTable(), "http://localhost:9095", MemoryStore())
    yield built
    built.close()


def test_each_destination_has_a_courier_and_each_alertmanager_a_resender(adapters: Adapters) -> None:
    """By name."""
    world = World(group(rule()))
    alerts = OpenAlertIndex(world.engine, world.routes)
    workers = build_workers(
        adapters, alerts, world.store, DeliverySettings(), "", report=lambda _: None, settled=lambda _: None
    )
    assert {name: type(worker) for name, worker in workers.items()} == {
        "team/alertmanager/0": Courier,
        "team/alertmanager/0 refresh": Resender,
        "team/webhook/0": Courier,
    }


def test_the_alertmanagers_of_all_receivers_have_silences(adapters: Adapters) -> None:
    """And no other receiver."""
    assert [target.url for target in silence_targets(adapters.config)] == ["http://localhost:9093"]


class Queues(MemoryStore):
    """Store with pending deliveries, which may fail."""

    fails = False

    def depths(self) -> dict[str, QueueDepth]:
        if self.fails:
            raise StoreError("disk full")
        return {"old/log/0": QueueDepth(3, 1, 0), "team/log/0": QueueDepth(1, 1, 0), "gone/log/0": QueueDepth(0, 0, 2)}


def test_pending_deliveries_without_a_receiver_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not those that are dead, and nothing when the store cannot be read."""
    store = Queues()
    warn_of_unserved(store, ["team/log/0"])
    assert [record.destination for record in caplog.records] == ["old/log/0"]  # type: ignore[attr-defined]
    assert caplog.records[0].to_discard == "retrain-bridge deliveries discard --receiver old"  # type: ignore[attr-defined]
    store.fails = True
    warn_of_unserved(store, [])
    assert len(caplog.records) == 1
