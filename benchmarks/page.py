"""Benchmark of the models page with 100 and with 10,000 models: two real bridges and one Prometheus, in one run.

    python -m benchmarks.page [--models 10000] [--blocks 10] [--asks 20] [--refreshes 1000]

Both bridges evaluate two rules of the same kind; their first page, and a search, are asked for in alternating blocks
over one connection each. Counted is the time until the answer is there: medians over all blocks. Then the bigger one
is refreshed many times, and its resident memory compared before and after. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.bridge import Bridge, bridge
from tests.support.processes import wait_until
from tests.support.servers import exporter, prometheus

SMALL = 100
AIM_GROWTH, AIM_BYTES, AIM_RSS = 1.5, 100_000, 1.05
WARM = 30
BREACHED = 50  # in both fleets, so that every path shows as many rows at both sizes
PATHS = {
    "first page": "/", "search": "/?q=pipeline-00", "by state": "/?state=retrain_requested", "second page": "/?page=2",
}  # fmt: skip


def exposition(models: int) -> str:
    """Return both fleets, with as many breached models in each."""
    lines = []
    for fleet, count in (("small", SMALL), ("big", models)):
        for number in range(count):
            labels = (
                f'fleet="{fleet}",project="project-{number % 20}",pipeline="pipeline-{number:05}",version="2026.11"'
            )
            drift = 0.9 if number % (count // BREACHED) == 0 else 0.1 + number % 7 / 100
            lines.append(f"model_drift_score{{{labels}}} {drift}")
            lines.append(f"model_latency_seconds{{{labels}}} {0.1 + number % 13 / 1000}")
    return "\n".join(lines) + "\n"


def rules(fleet: str) -> dict[str, Any]:
    """Return two rules, evaluated once a minute, so that only the page costs time between ticks."""
    signals = {
        "drift": {"event": "drift", "expr": f'model_drift_score{{fleet="{fleet}"}}'},
        "latency": {"event": "latency", "unit": "seconds", "expr": f'model_latency_seconds{{fleet="{fleet}"}}'},
    }
    made = [
        {"retrain": "DataDrift", "signal": "drift", "strategy": {"threshold": {"max": 0.6}}},
        {"retrain": "SlowAnswers", "signal": "latency", "strategy": {"threshold": {"max": "500ms"}}},
    ]
    return {"groups": [{"name": "serving", "interval": "1m", "limit": 200_000, "signals": signals, "rules": made}]}


class Client:
    """Persistent connection to a bridge, as a browser holds it."""

    def __init__(self, process: Bridge) -> None:
        host, _, port = process.listen.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=30)

    def get(self, path: str) -> bytes:
        self._connection.request("GET", path, headers={"Accept": "text/html"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{path}: HTTP {answer.status}: {body[:200]!r}")
        return body

    def renew(self, path: str) -> None:
        """Open the connection again, which the server closes when it is idle for long, and request a page once."""
        self._connection.close()
        self.get(path)

    def seconds(self, path: str) -> float:
        """Return the time of a response."""
        began = time.perf_counter()
        self.get(path)
        return time.perf_counter() - began


def rss_mb(process: Bridge) -> float:
    popen = process.program.process
    assert popen is not None
    pages = int(Path(f"/proc/{popen.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def page_bytes(client: Client, path: str) -> int:
    """Return the size of the page with all its resources."""
    body = client.get(path)
    loaded = re.findall(r'(?:href|src)="(/static/[^"]+)"', body.decode())
    return len(body) + sum(len(client.get(name.replace("&amp;", "&"))) for name in loaded)


def counted(process: Bridge, expected: int) -> bool:
    result = process.api("models?limit=1")
    return (
        int(result["total"]) >= expected
        if "total" in result
        else len(process.api("models?limit=10000")["models"]) >= expected
    )


def measure(small: Client, big: Client, blocks: int, asks: int) -> dict[str, dict[str, float]]:
    """Return milliseconds by path, and their growth."""
    result = {}
    for name, path in PATHS.items():
        times: dict[str, list[float]] = {"small": [], "big": []}
        for _ in range(blocks):
            for side, client in (("small", small), ("big", big)):
                client.renew(path)
                times[side] += [client.seconds(path) for _ in range(asks)]
        one, many = (statistics.median(times[side]) * 1000 for side in ("small", "big"))
        result[name] = {"small_ms": round(one, 2), "big_ms": round(many, 2), "growth": round(many / one, 2)}
        print(
            f"{name:12} {one:7.2f} ms at {SMALL} models, {many:7.2f} ms at the most: {many / one:.2f} times", flush=True
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--asks", type=int, default=20)
    parser.add_argument("--refreshes", type=int, default=1000)
    options = parser.parse_args()
    nowhere = {"webhook_configs": [{"url": "http://127.0.0.1:9/nobody"}]}
    with (
        exporter(exposition(options.models)) as page,
        prometheus(targets=[page.target], scrape_interval="5s") as source,
        bridge(source.url, rules("small"), nowhere) as small,
        bridge(source.url, rules("big"), nowhere) as big,
    ):
        wait_until(lambda: len(source.query("count(model_latency_seconds)")) == 1, 60, "a scrape")
        for process in (small, big):
            process.start()
        for process, count in ((small, SMALL), (big, options.models)):
            wait_until(lambda process=process, count=count: counted(process, count), 150, "the models")
        one, many = Client(small), Client(big)
        for client in (one, many):
            for _ in range(WARM):
                client.get("/")
        pages = measure(one, many, options.blocks, options.asks)
        size = max(page_bytes(many, path) for path in PATHS.values())
        before = rss_mb(big)
        for _ in range(options.refreshes):
            many.get("/")
        after = rss_mb(big)
    print(f"{size:,} bytes with all that it loads; {before:.1f} MB before, {after:.1f} MB after the refreshes")
    growth = max(item["growth"] for item in pages.values())
    print(json.dumps({
        "models": options.models, "pages": pages, "growth": growth, "growth_aim": AIM_GROWTH, "bytes": size,
        "bytes_aim": AIM_BYTES, "refreshes": options.refreshes, "rss_mb": [round(before, 1), round(after, 1)],
        "rss_growth": round(after / before, 3), "rss_aim": AIM_RSS,
        "met": growth < AIM_GROWTH and size <= AIM_BYTES and after <= before * AIM_RSS,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
