"""Benchmark of pages, API and scrapes over HTTP: many models, many rules, many deliveries that wait.

    python -m benchmarks.reads [--scenario NAME ...]

A real bridge evaluates once a minute; between two ticks each path is requested several times over one connection. CPU
is that of the bridge's process, wall time that of the response. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from benchmarks.peers import MeasuredProgram, Page, Scenario, answers, cpu, expositions, ours, receiver, rss_mb
from tests.support.processes import free_port, kept_for_the_test, wait_until
from tests.support.servers import prometheus

RUNS = 7
SCENARIOS = (
    Scenario("100k_models", 0.01, signal=True, models=100_000, interval=60),
    Scenario("50_rules", 0.01, signal=True, rules=50, interval=60),
    Scenario("100k_deliveries_wait", 1.0, signal=True, models=100_000, interval=60, grouped=False),
)
MODEL = "project=p7&pipeline=pipeline-7&version=1"
MODELS = {
    "/": "/",
    "/ by name": "/?q=pipeline-99",
    "/ by state": "/?state=degraded",
    "/ last page": "/?page=100",
    "models": "/api/v1/models?limit=50",
    "models, later": "/api/v1/models?limit=50&offset=9000",
    "models of a project": "/api/v1/models?limit=50&project=p7",
    "models of a pipeline": "/api/v1/models?limit=50&pipeline=pipeline-99",
    "models of a rule": "/api/v1/models?limit=50&rule=Drift0",
    "models of a state": "/api/v1/models?limit=50&state=degraded",
    "model": f"/model?{MODEL}",
    "/metrics": "/metrics",
}
HISTORY = {
    "/rules": "/rules",
    "/requests": "/requests",
    "/requests closed": "/requests?state=closed",
    "/decisions": "/decisions",
    "/decisions expired": "/decisions?outcome=expired",
    "/status": "/status",
    "/silences": "/silences",
    "rules without alerts": "/api/v1/rules?exclude_alerts=true",
    "rules, limited": "/api/v1/rules?limit_alerts=100",
    "alerts, limited": "/api/v1/alerts?limit=1000&offset=50000",
    "requests": "/api/v1/requests",
    "requests closed": "/api/v1/requests?state=closed",
    "requests of two states": "/api/v1/requests?state=closed&state=failed",
    "requests of a project": "/api/v1/requests?project=p7",
    "requests of a rule": "/api/v1/requests?rule=Drift0",
    "decisions": "/api/v1/decisions",
    "decisions expired": "/api/v1/decisions?outcome=expired",
    "decisions of no rule": "/api/v1/decisions?rule=None",
    "decisions of a model": f"/api/v1/decisions?{MODEL}",
    "explain": f"/api/v1/explain?{MODEL}",
    "forecast": "/api/v1/forecast?project=p7&pipeline=pipeline-7",
    "trail": f"/api/v1/trail?{MODEL}&rule=Drift0",
    "config": "/api/v1/status/config",
    "ready": "/-/ready",
    "rules": "/api/v1/rules",
    "alerts": "/api/v1/alerts",
}


def get(connection: http.client.HTTPConnection, path: str) -> bytes:
    """Return the body of a response that must be 200."""
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        sys.exit(f"{path}: HTTP {answer.status}: {body[:200]!r}")
    return body


def measured(side: MeasuredProgram, paths: Mapping[str, str], runs: int = RUNS) -> dict[str, dict[str, float]]:
    """Return of each path the median wall and CPU milliseconds, the bytes, and the memory of the bridge after it."""
    connection = http.client.HTTPConnection(urlsplit(side.metrics).netloc, timeout=120)
    result = {}
    for name, path in paths.items():
        walls, cpus, size = list[float](), list[float](), len(get(connection, path))
        for _ in range(runs):
            began, used = time.perf_counter(), cpu(side.program.pid)
            get(connection, path)
            walls.append(1000 * (time.perf_counter() - began))
            cpus.append(1000 * (cpu(side.program.pid) - used))
        result[name] = {
            "cpu_ms": round(statistics.median(cpus), 1), "wall_ms": round(statistics.median(walls), 1), "bytes": size,
            "rss_mb": round(rss_mb(side.program.pid), 1),
        }  # fmt: skip
        print(f"  {name:24} {result[name]}", flush=True)
    connection.close()
    return result


@contextlib.contextmanager
def running(
    scenario: Scenario, *, alerts: str = "", prepare: Callable[[MeasuredProgram], object] = id
) -> Iterator[tuple[MeasuredProgram, dict[str, float]]]:
    """Start a bridge and wait for its first tick; yield it, and what its start cost.

    alerts: URL of its Alertmanager, by default one that discards them.
    prepare: called before the start.
    """
    with contextlib.ExitStack() as stack:
        page = Page(expositions(scenario, scenario.share))
        stack.callback(page.close)
        server = stack.enter_context(prometheus(targets=[page.target], scrape_interval="10s"))
        wait_until(lambda: server.query("count(model_drift_score)"), 60, "a scrape")
        scraped = time.time()
        wait_until(lambda: time.time() // scenario.interval * scenario.interval > scraped, 60, "a slot with samples")
        side = ours(scenario, server.url, alerts or stack.enter_context(receiver()))
        prepare(side)
        stack.enter_context(kept_for_the_test(side.program))
        before, began = side.slot, time.monotonic()
        side.program.start()
        side.program.wait_ready(lambda: answers(side.metrics.replace("/metrics", "/-/ready")), 120)
        start = {"ready_cpu_s": round(cpu(side.program.pid), 2), "ready_s": round(time.monotonic() - began, 2)}
        wait_until(lambda: side.slot > before, 150, "a tick")
        start |= {"tick_cpu_s": round(cpu(side.program.pid), 2), "tick_s": round(time.monotonic() - began, 2)}
        yield side, start


def page_bytes(side: MeasuredProgram) -> int:
    """Return the size of the models page with all that it loads."""
    connection = http.client.HTTPConnection(urlsplit(side.metrics).netloc, timeout=120)
    body = get(connection, "/")
    loaded = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', body.decode()))
    size = len(body) + sum(len(get(connection, name.replace("&amp;", "&"))) for name in loaded)
    connection.close()
    return size


def run(scenario: Scenario) -> dict[str, Any]:
    """Measure one scenario."""
    waits = scenario.share == 1.0
    with running(scenario, alerts=f"http://127.0.0.1:{free_port()}" if waits else "") as (side, start):
        print(scenario.name, start)
        # The slot of the first tick may be before the first scrape.
        wait_until(lambda: side.read("SELECT count(*) FROM sightings") >= scenario.models, 150, "models with samples")
        if waits:
            wait_until(lambda: side.pending >= scenario.models - 1000, 60, "queued deliveries")
        paths = measured(side, MODELS | (HISTORY if waits else {}))
        return {
            "start": start, "paths": paths, "page_bytes": page_bytes(side), "pending": side.pending,
            "rss_mb": round(rss_mb(side.program.pid), 1), "load": os.getloadavg()[1],
        }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append", choices=[item.name for item in SCENARIOS])
    options = parser.parse_args()
    chosen = [item for item in SCENARIOS if not options.scenario or item.name in options.scenario]
    print(json.dumps({scenario.name: run(scenario) for scenario in chosen}))


if __name__ == "__main__":
    main()
