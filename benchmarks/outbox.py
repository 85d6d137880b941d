"""Benchmark of the outbox: requests of one slot delivered to a coordinator, a webhook or an Alertmanager.

    python -m benchmarks.outbox [--requests 10000] [--latency 0 50] [--sinks coordinator webhook alertmanager]
        [--store sqlite postgresql] [--seconds 420]

Couriers, sinks, store and engine are those of the bridge; the receiver is a process of its own that answers after
`latency` ms. Meanwhile a slot is committed every second, as by a tick. CPU is that of the bridge's process. PostgreSQL
is started from the installed programs. A delivery that is not done after `seconds` ends, and the figures are those of
what was delivered by then. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.loop import commands_of
from bridge.app import clock
from bridge.app.couriers import Couriers
from bridge.app.workers import courier_of
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.request import Evidence, RequestRecord, RequestState, RetrainRequest, request_id
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.engine import Engine
from bridge.ports import AttemptReport, Kind, NewDelivery, Result, Sink, Store, TickChanges
from bridge.sinks.base import SinkContext
from bridge.sinks.registry import sinks
from bridge.store.sql import SqlStore
from tests.support.postgres import postgres
from tests.support.world import ScriptedSource

RECEIVER = """
import asyncio, json, sys

LATENCY, seen, posts = float(sys.argv[1]) / 1000, set(), 0

async def serve(reader, writer):
    global posts
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode().split("\\r\\n")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            key = fields.get("idempotency-key") or fields.get("webhook-id", "")
            if head[0].startswith("POST"):
                posts += 1
                seen.update([key] if key else [alert["annotations"].get("request_id", str(alert["labels"]))
                                               for alert in json.loads(body)])
                await asyncio.sleep(LATENCY)
                answer, status = {"id": key, "reference": "run-" + key[:8], "state": "accepted"}, 202
                if not key:
                    status = 200
            else:
                answer, status = {"posts": posts, "unique": len(seen)}, 200
            text = json.dumps(answer).encode()
            writer.write(b"HTTP/1.1 %d X\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n%s"
                         % (status, len(text), text))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
AIMS = {"coordinator 50 ms sqlite": {"seconds": 20.0, "cpu_ms": 1.8}}  # of 10,000 requests


@contextlib.contextmanager
def receiver(latency: int) -> Iterator[str]:
    """Run the receiver, and yield its URL."""
    with subprocess.Popen([sys.executable, "-c", RECEIVER, str(latency)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@contextlib.contextmanager
def opened(kind: str, folder: Path) -> Iterator[Store]:
    """Open an empty store."""
    with contextlib.ExitStack() as stack:
        if kind == "postgresql":
            server = stack.enter_context(postgres())
            store = SqlStore.open_url(server.database())
        else:
            store = SqlStore.open_sqlite(folder / "bridge.db")
        stack.callback(store.close)
        yield store


def request(number: int, at: int) -> RetrainRequest:
    """Return a request as an ordinary rule makes it."""
    model = ModelKey("shop", f"pipeline-{number:06}", "7")
    reason = "Drifted: drift 0.93 > 0.6 for 5m"
    item = Evidence("Drifted", "drift", "drift", 'model_drift{project="shop"}', 0.93, 0.93, 0.6, "", {})
    labels = {"alertname": "Drifted", "severity": "warning", **model.labels()}
    annotations = {"summary": f"Model {model} drifts", "runbook_url": "https://runbooks/drift"}
    id_ = request_id(model, "Drifted", at, 1)
    return RetrainRequest(model, reason, at, id_, "Drifted", at, 1, (reason,), (item,), labels, annotations)


def queue(store: Store, destination: str, count: int) -> None:
    """Commit a slot with `count` requests."""
    at = clock.now()
    made = [request(number, at) for number in range(count)]
    records = [RequestRecord(item, RequestState.REQUESTED, at, ("ops",), (destination,), sent_at=at) for item in made]
    deliveries = [NewDelivery(item.id, destination, Kind.FIRING) for item in made]
    store.commit(TickChanges("group", at, requests=records, deliveries=deliveries, at=at))


def ticking(store: Store, engine: Engine, stop: threading.Event, waits: list[float]) -> None:
    """Commit a slot each second, and record how long lock and commit took."""
    while not stop.wait(1.0):
        began = time.perf_counter()
        with engine.read():
            store.commit(TickChanges("other", clock.now(), at=clock.now()))
        waits.append(1000 * (time.perf_counter() - began))


def rss_mb() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def sink_of(kind: str, url: str) -> Sink:
    """Return a sink as a configuration has it."""
    entry = sinks()[kind].Config.model_validate({"url": url})
    built: Sink = sinks()[kind](entry, SinkContext("ops", 0, external_url="http://bridge:9494"))
    return built


def deliver(kind: str, latency: int, store_kind: str, count: int, limit: float) -> dict[str, Any]:
    """Deliver `count` requests, or what can be delivered in `limit` seconds, and return the figures."""
    destination, delivered, done = f"ops/{kind}/0", 0, threading.Event()

    def report(attempt: AttemptReport) -> None:
        nonlocal delivered
        delivered += attempt.delivery.result is Result.DELIVERED
        if delivered == count:
            done.set()

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(opened(store_kind, folder))
        url = stack.enter_context(receiver(latency))
        sink = sink_of(kind, url)
        stack.callback(sink.close)
        queue(store, destination, count)
        engine = Engine(ScriptedSource(ModelTable()), store, ModelTable())
        engine.start(clock.now())
        commands = commands_of(engine, store, clock.now)
        courier = courier_of(destination, sink, store, DeliverySettings(), report, commands.settled)
        couriers = Couriers({destination: courier}, clock.now)
        stop, waits = threading.Event(), list[float]()
        ticker = threading.Thread(target=ticking, args=(store, engine, stop, waits), daemon=True)
        memory, began, cpu = rss_mb(), time.perf_counter(), time.process_time()
        ticker.start()
        couriers.start()
        ends, early = began + limit, 0.0
        while not done.wait(min(5.0, max(0.0, ends - time.perf_counter()))) and time.perf_counter() < ends:
            early = early or rss_mb()
            print(f"  {delivered} delivered, {rss_mb():.0f} MB", file=sys.stderr)
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        sent, grown, late = delivered, rss_mb() - memory, rss_mb() - (early or memory)
        stop.set()
        couriers.stop(10.0)
        ticker.join()
        with urllib.request.urlopen(url) as answer:
            counts = json.loads(answer.read())
    return {
        "delivered": sent, "seconds": round(seconds, 1), "per_second": round(sent / seconds),
        "cpu_ms": round(1000 * used / max(sent, 1), 2), "commits": len(waits),
        "commit_ms_median": round(statistics.median(waits or [0.0]), 1),
        "commit_ms_max": round(max(waits, default=0.0), 1), "grown_mb": round(grown, 1),
        "grown_later_mb": round(late, 1), "load": os.getloadavg()[0], **counts,
    }  # fmt: skip


class Discarded(io.TextIOBase):
    """Text stream that keeps nothing."""

    def write(self, text: str) -> int:
        """Return the length."""
        return len(text)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--latency", type=int, nargs="*", default=[0, 50])
    parser.add_argument("--sinks", nargs="*", default=["coordinator", "webhook", "alertmanager"])
    parser.add_argument("--store", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--seconds", type=float, default=420.0, help="limit of each delivery")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=Discarded())  # lines are formatted as in production
    result: dict[str, Any] = {"requests": args.requests, "aims": AIMS}
    for store in args.store:
        for kind in args.sinks:
            for latency in args.latency:
                name = f"{kind} {latency} ms {store}"
                result[name] = figures = deliver(kind, latency, store, args.requests, args.seconds)
                print(name, figures, flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
