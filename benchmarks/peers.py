"""Programs of the benchmarks beside vmalert: the bridge, vmalert, a receiver of alerts, and a page of metrics."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.processes import Program, free_port, kept_for_the_test

SUMMARY = "Drift {{ $value }} on {{ $labels.pipeline }}"
STEPS = 5  # different pages of moving values


@dataclass(frozen=True)
class Scenario:
    """Rules and models of one measurement.

    share: of breached models.
    limits: of the rules, one each.
    interval: seconds between ticks, the same for both sides.
    moving: whether every value differs at every scrape.
    blocks, ticks: blocks of each side, and ticks of a block.
    gogc: of vmalert, None = its default of 30.
    beside: whether vmalert is measured too.
    grouped: whether first deliveries go by project, twenty messages for all models; resends are the same.
    """

    name: str
    share: float
    signal: bool
    rules: int = 1
    interval: int = 1
    models: int = 10_000
    moving: bool = False
    blocks: int = 3
    ticks: int = 12
    gogc: int | None = None
    beside: bool = True
    grouped: bool = True

    @property
    def limits(self) -> list[float]:
        """Limit of each rule."""
        return [0.6 + 0.05 * index / self.rules for index in range(self.rules)]

    @property
    def breached(self) -> int:
        """Number of breached models."""
        return int(self.models * self.share)


@dataclass
class MeasuredProgram:
    """One of the two programs, with CPU seconds per tick of each block, its own and Prometheus'.

    counter: metric that counts its ticks; on a busy machine some are skipped.
    """

    name: str
    program: Program
    metrics: str
    counter: str
    database: Path | None = None
    own: list[float] = field(default_factory=list)
    store: list[float] = field(default_factory=list)
    rss_mb: float = 0.0

    def read(self, statement: str) -> int:
        """Return one number of the bridge's database, 0 while it has none."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
                row = database.execute(statement).fetchone()
        except sqlite3.OperationalError:
            return 0
        return int(row[0] or 0) if row else 0

    @property
    def ticks(self) -> float:
        """Return the number of ticks so far, by the program's own metrics."""
        with urllib.request.urlopen(self.metrics, timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(self.counter))

    @property
    def slot(self) -> int:
        """Return the last stored slot, ms."""
        return self.read("SELECT max(slot) FROM slots")

    @property
    def requests(self) -> int:
        """Return the number of requests."""
        return self.read("SELECT count(*) FROM requests")

    @property
    def pending(self) -> int:
        """Return the number of deliveries that are not made yet."""
        return self.read("SELECT count(*) FROM deliveries WHERE state IN ('queued', 'leased', 'retry')")


def cpu(pid: int) -> float:
    """Return CPU seconds of a process and all its threads, to the nanosecond, by clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def rss_mb(pid: int, *, peak: bool = False) -> float:
    """Return the resident memory, or its highest so far."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))


class Page:
    """Server of /metrics. texts: the pages, one after the other."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self.texts, self._scrapes = texts, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            """HTTP handler."""

            def do_GET(self) -> None:
                outer._scrapes += 1
                text = outer.texts[outer._scrapes % len(outer.texts)]
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Suppress logging."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.target = f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


def expositions(scenario: Scenario, share: float) -> list[bytes]:
    """Return the pages of `models` series, of which `share` is above every limit and the others are below."""
    return [exposition(scenario.models, share, step) for step in range(STEPS if scenario.moving else 1)]


def exposition(models: int, share: float, step: int = 0) -> bytes:
    """Return one page."""
    high = int(models * share)
    lines = ["# TYPE model_drift_score gauge"]
    for number in range(models):
        value = (0.7 if number < high else 0.1) + number / models / 10 + 0.013 * step
        labels = f'project="p{number % 20}",pipeline="pipeline-{number}",version="1"'
        lines.append(f"model_drift_score{{{labels}}} {value:.6f}")
    return "\n".join([*lines, ""]).encode()


RECEIVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def do_GET(self):
        self.do_POST()
    def log_message(self, *_): pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
"""


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    """Start a process that receives and discards alerts: its CPU time counts for neither side."""
    port = free_port()
    program = Program([sys.executable, "-c", RECEIVER, str(port)], Path(tempfile.mkdtemp()), "receiver")
    with kept_for_the_test(program):
        program.start()
        url = f"http://127.0.0.1:{port}"
        program.wait_ready(lambda: answers(url))
        yield url


def answers(url: str) -> bool:
    """Return whether the URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            answer.read()
            return bool(answer.status == 200)
    except OSError:
        return False


def vmalert(scenario: Scenario, source: str, alerts: str) -> MeasuredProgram:
    """Return vmalert, with the same rules as alerts."""
    folder, port = Path(tempfile.mkdtemp()), free_port()
    rules = [
        {"alert": f"Drift{index}", "expr": f"model_drift_score > {limit}", "annotations": {"summary": SUMMARY}}
        for index, limit in enumerate(scenario.limits)
    ]
    groups = {"groups": [{"name": "g", "interval": f"{scenario.interval}s", "rules": rules}]}
    (folder / "rules.yml").write_text(json.dumps(groups))
    env = dict(os.environ) if scenario.gogc is None else {**os.environ, "GOGC": str(scenario.gogc)}
    command = [
        "vmalert", f"-rule={folder}/rules.yml", f"-datasource.url={source}", f"-notifier.url={alerts}",
        f"-httpListenAddr=127.0.0.1:{port}", "-datasource.queryTimeAlignment=false",
    ]  # fmt: skip
    program = Program(command, folder, "vmalert", env)
    return MeasuredProgram("vmalert", program, f"http://127.0.0.1:{port}/metrics", "vmalert_iteration_total{")


def environment(source: Path) -> dict[str, str]:
    """Return the environment for the bridge of a source tree. Python caches its bytecode, as in an installation."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(source)}


def ours(scenario: Scenario, source: str, alerts: str) -> MeasuredProgram:
    """Return the bridge, with the same rules as `signal` or `expr` rules."""
    folder, port = Path(tempfile.mkdtemp()), free_port()
    common = {"annotations": {"summary": SUMMARY}, "cooldown": "1h"}
    rules: list[dict[str, object]] = []
    for index, limit in enumerate(scenario.limits):
        what: dict[str, object] = {"expr": f"model_drift_score > {limit}"}
        if scenario.signal:
            what = {"signal": "drift", "strategy": {"threshold": {"max": limit}}}
        rules.append({"retrain": f"Drift{index}", **what, **common})
    group: dict[str, object] = {"name": "g", "interval": f"{scenario.interval}s", "rules": rules, "limit": 200_000}
    if scenario.signal:
        group["signals"] = {"drift": {"event": "drift", "expr": "model_drift_score"}}
    (folder / "rules.yml").write_text(json.dumps({"groups": [group]}))
    every = f"{scenario.interval}s"
    config = {
        "global": {"evaluation_interval": every, "query_offset": "0s", "resend_delay": every, "catch_up_limit": every},
        "prometheus": {"url": source},
        "rule_files": ["rules.yml"],
        "route": {"receiver": "team", **({"group_by": ["project"], "group_wait": "1s"} if scenario.grouped else {})},
        "receivers": [{"name": "team", "alertmanager_configs": [{"url": alerts}]}],
    }
    (folder / "bridge.yml").write_text(json.dumps(config))
    command = [
        sys.executable, "-m", "bridge.cli", "run", f"--config.file={folder}/bridge.yml",
        f"--storage.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    program = Program(command, folder, "bridge", environment(Path(__file__).resolve().parent.parent))
    counter = "retrain_bridge_evaluation_duration_seconds_count{"
    database = folder / "data" / "retrain-bridge.db"
    return MeasuredProgram("ours", program, f"http://127.0.0.1:{port}/metrics", counter, database)
