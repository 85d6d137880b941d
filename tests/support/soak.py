"""An engine, its store, a courier and a refresher that make requests as fast as they go; what their memory comes to."""

from __future__ import annotations

import logging
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.app.memory import collect_rarely, keep_large_buffers
from bridge.domain.model import ModelKey
from bridge.domain.times import SECOND, Timestamp
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.courier import Courier
from bridge.engine.delivery.open_alerts import OpenAlertIndex
from bridge.engine.delivery.resend import Resender, ResendSettings
from bridge.engine.evaluation.trail import Trails
from bridge.ports import Alert, Delivery, Notification, Result
from bridge.ports.request_alerts import Sender
from bridge.store.sql import SqlStore
from tests.support.world import FixedRoutes, World, group, rule

PLACE = "team/coordinator/0"
MODELS = 500
DELIVERED = 5  # of the requests of a slot: what is queued is in the database, and takes time rather than memory
PERIOD = 20  # slots from one episode of a model to its next


class Taking:
    """A receiver that takes everything, requests and alerts."""

    integration = "fake"
    sends_resolved = False
    reports_status = False

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        return Delivery(Result.DELIVERED, status=202)

    def post_alerts(self, alerts: Iterable[Alert], now: Timestamp) -> Delivery:
        list(alerts)  # they are made as they are read
        return Delivery(Result.DELIVERED, status=200)

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Reading:
    """After so many requests, in bytes."""

    requests: int
    resident: int


def resident() -> int:
    """Memory of this process that is in RAM and its own."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


def soak(
    folder: Path, requests: int, every: int, look: Callable[[World, int], None] = lambda _world, _made: None
) -> Iterator[Reading]:
    """Make so many requests, one after another of 500 models each second; a reading after `every` of them."""
    store = SqlStore.open_sqlite(folder / "bridge.db")
    routes = FixedRoutes(destinations=(PLACE,), reporting=False)
    world = World(group(rule("Drifted"), interval=SECOND), store=store, routes=routes, trails=Trails())
    receiver = Taking()
    courier = Courier(
        PLACE, receiver, store, "w", DeliverySettings(), lambda _: None, world.commands.settled, random.Random(1)
    )
    refresher = Resender(
        PLACE, receiver, OpenAlertIndex(world.engine, routes), store, Sender(), DeliverySettings(),
        ResendSettings(resend_delay=10 * SECOND), random.Random(1),
    )  # fmt: skip
    models = [ModelKey("shop", f"pipeline-{number}", "1") for number in range(MODELS)]
    made = told = slot = 0
    while made < requests:
        values = {model: 0.9 if (index + slot) % PERIOD == 0 else 0.1 for index, model in enumerate(models)}
        report = world.tick(values)
        world.script.clear()
        world.source.asked.clear()
        made += report.queued
        for _ in range(DELIVERED):
            courier.step(lambda: world.now)
        refresher.step(lambda: world.now)
        slot += 1
        if made - told >= every:
            told = made
            look(world, made)
            yield Reading(made, resident())
    store.close()


def growth(readings: Sequence[Reading]) -> int:
    """Bytes by which the last third of the requests made the memory grow; medians of five readings, for it jitters."""
    third = max(len(readings) // 3, 1)
    return _level(readings[-5:]) - _level(readings[-third - 5 : -third])


def _level(readings: Sequence[Reading]) -> int:
    return sorted(reading.resident for reading in readings)[len(readings) // 2] if readings else 0


def chart(readings: Sequence[Reading]) -> str:
    """A line for each reading."""
    most = max(reading.resident for reading in readings)
    lines = [
        f"{reading.requests:>7} requests {reading.resident / 1e6:7.1f} MB {'#' * (60 * reading.resident // most)}"
        for reading in readings
    ]
    return "\n".join(lines)


def main(requests: int) -> int:
    """Draw it; 1 when the last third of the requests made the memory grow by 2 MB or more."""
    logging.disable()
    keep_large_buffers()
    collect_rarely()
    readings: list[Reading] = []
    with tempfile.TemporaryDirectory() as folder:
        for reading in soak(Path(folder), requests, requests // 60):
            readings.append(reading)
            print(chart([reading]).split("#")[0], flush=True)
    grown = growth(readings)
    print(f"\n{chart(readings)}\n\nthe last third made it grow by {grown / 1e6:.2f} MB")
    return int(grown >= 2_000_000)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
