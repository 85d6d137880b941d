"""Benchmark of requests that wait: CPU of a tick while a storm holds them, and of polling while they are in flight.

    python -m benchmarks.held [--requests 10000] [--ticks 10]

Engine, gates and poller are those of the bridge; source, store and coordinator are in memory, the coordinator's list
answers at once. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from bridge.app import clock
from bridge.app.status_polling import StatusPoller
from bridge.domain.model import ModelKey
from bridge.domain.request import RequestState
from bridge.domain.rule import Gates, Storm
from bridge.domain.times import DAY, MINUTE, SECOND, Timestamp
from bridge.ports import Delivery, Notification, Result, StatusReport
from bridge.sinks.base import SinkContext
from bridge.sinks.coordinator import CoordinatorConfig, CoordinatorSink
from tests.support.receiver import Receiver, Reply
from tests.support.world import World, group, rule


def cpu_ms(act: Callable[[], object]) -> float:
    """Return the CPU time of this process while `act` runs."""
    began = time.process_time()
    act()
    return 1000 * (time.process_time() - began)


def models(count: int) -> list[ModelKey]:
    """Return models with a pipeline each."""
    return [ModelKey("shop", f"pipeline-{number:06}", "7") for number in range(count)]


def held(count: int, ticks: int) -> dict[str, float]:
    """Return the CPU of a tick with all requests held by a storm, beside one with nothing waiting."""
    names = models(count)
    bad, good = dict.fromkeys(names, 0.9), dict.fromkeys(names, 0.1)
    found = {}
    for name, gates, answer in (
        ("nothing waits", Gates(settle=0), good),
        ("a storm holds all", Gates(settle=0, storm=Storm(0.3, 4, DAY)), bad),
    ):
        world = World(group(rule()), gates=gates)
        world.tick(good)
        world.tick(answer)
        world.tick(answer)  # each request is checked once more
        times = []
        for _ in range(ticks):
            world.say(answer)
            world.now += world.group.interval
            times.append(cpu_ms(lambda: world.engine.evaluate("g", world.now)))  # noqa: B023
        found[name] = round(statistics.median(times), 1)
    return found


class Listed:
    """Coordinator whose lists say that every request runs; the answers are decoded as those of a server."""

    reports_status, sends_resolved = True, False

    def __init__(self) -> None:
        self.calls = 0

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        """Accept the request."""
        return Delivery(Result.DELIVERED, reference="run")

    def statuses(self, request_ids: Sequence[str], now: Timestamp) -> Iterator[tuple[str, StatusReport | None]]:
        """Yield that each request runs."""
        for start in range(0, len(request_ids), 100):
            self.calls += 1
            for request_id in request_ids[start : start + 100]:
                yield request_id, StatusReport(request_id, RequestState.RUNNING, now)

    def close(self) -> None:
        """Do nothing."""


def one_list_ms() -> float:
    """Return the CPU of one call that lists 100 requests over HTTP, with decoding."""
    ids = [f"{number:032x}" for number in range(100)]
    body = msgspec.json.encode({"requests": [{"id": id_, "state": "running"} for id_ in ids], "total": 100})
    with Receiver(Reply(200, body)) as server:
        sink = CoordinatorSink(CoordinatorConfig(url=server.url), SinkContext("ops", 0))
        list(sink.statuses(ids, 0))
        return round(statistics.median(cpu_ms(lambda: list(sink.statuses(ids, 0))) for _ in range(20)), 2)


def polled(count: int) -> dict[str, float]:
    """Return the share of a core that polling takes, by the age of the requests."""
    world, coordinator = World(group(rule())), Listed()
    world.tick(dict.fromkeys(models(count), 0.1))
    world.tick(dict.fromkeys(models(count), 0.9))
    real, now, each = clock.now, world.now, one_list_ms()
    clock.now = lambda: now
    try:
        poller = StatusPoller(world.engine, world.commands, lambda: {"team/coordinator/0": coordinator})
        poller.poll()
        shares = {"one list, ms": each}
        for age in (MINUTE, 10 * MINUTE, 60 * MINUTE):
            spent, calls, rounds = 0.0, coordinator.calls, 0
            end = world.now + age
            while now < end:
                now += 5 * SECOND
                if now > end - MINUTE:
                    spent, rounds = spent + cpu_ms(poller.poll), rounds + 1
                else:
                    poller.poll()
                    calls = coordinator.calls
            spent += (coordinator.calls - calls) * each
            shares[f"share after {age // MINUTE} min, %"] = round(100 * spent / (rounds * 5000), 2)
        return shares
    finally:
        clock.now = real


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--ticks", type=int, default=10)
    args = parser.parse_args()
    result: dict[str, Any] = {"held, ms a tick": held(args.requests, args.ticks), "polling": polled(args.requests)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
