"""Benchmark of one tick of 10,000 models against vmalert, on the same Prometheus, in one run.

    python -m benchmarks.tick [--models 10000] [--blocks 5] [--ticks 20] [--scenario NAME ...]

Both sides evaluate the same rules against the same Prometheus in alternating blocks (the other one is stopped by
SIGSTOP meanwhile), render annotations and re-send every firing alert every tick to the same kind of receiver, and
have their /metrics read once a block. Counted is each process's own CPU, user and system, by its CPU clock, and
Prometheus' apart. Medians over the blocks. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.processes import Program, free_port, kept_for_the_test, wait_until
from tests.support.servers import Prometheus, prometheus

LIMITS = (0.60, 0.61, 0.62, 0.63, 0.64)
SUMMARY = "Drift {{ $value }} on {{ $labels.pipeline }}"


@dataclass(frozen=True)
class Scenario:
    """Scenario. share: of breached models. interval: seconds between ticks, the same for both sides."""

    name: str
    share: float
    signal: bool
    limits: Sequence[float] = LIMITS[:1]
    interval: int = 1
    gogc: int | None = None


SCENARIOS = (
    Scenario("signal_1pct", 0.01, signal=True),
    Scenario("expr_1pct", 0.01, signal=False),
    Scenario("5rules", 0.01, signal=True, limits=LIMITS, interval=2),
    Scenario("100pct", 1.0, signal=True, interval=4),
    Scenario("100pct_gogc100", 1.0, signal=True, interval=4, gogc=100),
)


@dataclass
class Side:
    """One of the two programs, with CPU seconds per tick of each block, its own and Prometheus'."""

    name: str
    program: Program
    metrics: str
    own: list[float] = field(default_factory=list)
    store: list[float] = field(default_factory=list)
    rss_mb: float = 0.0


def cpu(pid: int) -> float:
    """Return CPU seconds of a process and all its threads, to the nanosecond, by clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def rss_mb(pid: int) -> float:
    """Return the resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Page(BaseHTTPRequestHandler):
    """HTTP handler of /metrics; the scenario sets the text."""

    text = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *_: object) -> None:
        """Suppress logging."""


def exposition(models: int, share: float) -> bytes:
    """Return `models` series, of which `share` is above every limit and the others are below."""
    high = int(models * share)
    lines = ["# TYPE model_drift_score gauge"]
    for number in range(models):
        value = 0.7 + number / models / 10 if number < high else 0.1 + number / models / 10
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
        with urllib.request.urlopen(url, timeout=5) as answer:
            answer.read()
            return bool(answer.status == 200)
    except OSError:
        return False


def vmalert(scenario: Scenario, source: str, alerts: str) -> Side:
    """Start vmalert, with the same rules as alerts."""
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
    return Side("vmalert", Program(command, folder, "vmalert", env), f"http://127.0.0.1:{port}/metrics")


def ours(scenario: Scenario, source: str, alerts: str) -> Side:
    """Start the bridge, with the same rules as `signal` or `expr` rules."""
    folder, port = Path(tempfile.mkdtemp()), free_port()
    common = {"annotations": {"summary": SUMMARY}, "cooldown": "1h"}
    rules: list[dict[str, object]] = []
    for index, limit in enumerate(scenario.limits):
        what: dict[str, object] = {"expr": f"model_drift_score > {limit}"}
        if scenario.signal:
            what = {"signal": "drift", "strategy": {"threshold": {"max": limit}}}
        rules.append({"retrain": f"Drift{index}", **what, **common})
    group: dict[str, object] = {"name": "g", "interval": f"{scenario.interval}s", "rules": rules}
    if scenario.signal:
        group["signals"] = {"drift": {"event": "drift", "expr": "model_drift_score"}}
    (folder / "rules.yml").write_text(json.dumps({"groups": [group]}))
    every = f"{scenario.interval}s"
    config = {
        "global": {"evaluation_interval": every, "query_offset": "0s", "resend_delay": every, "catch_up_limit": every},
        "prometheus": {"url": source},
        "rule_files": ["rules.yml"],
        "route": {"receiver": "team"},
        "receivers": [{"name": "team", "alertmanager_configs": [{"url": alerts}]}],
    }
    (folder / "bridge.yml").write_text(json.dumps(config))
    command = [
        sys.executable, "-m", "bridge.cli", "run", f"--config.file={folder}/bridge.yml",
        f"--storage.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    return Side("ours", Program(command, folder, "bridge", env), f"http://127.0.0.1:{port}/metrics")


def measure(side: Side, server: Prometheus, seconds: float) -> None:
    """Run one side for a block, and record its cost per second."""
    side.program.signal(signal.SIGCONT)
    time.sleep(1.0)  # what piled up while it was stopped is not part of a block
    before, store = cpu(side.program.pid), cpu(server.program.pid)
    began = time.monotonic()
    time.sleep(seconds / 2)
    answers(side.metrics)
    time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    took = time.monotonic() - began
    side.own.append((cpu(side.program.pid) - before) / took)
    side.store.append((cpu(server.program.pid) - store) / took)
    side.rss_mb = max(side.rss_mb, rss_mb(side.program.pid))
    side.program.signal(signal.SIGSTOP)


def idle(server: Prometheus, seconds: float) -> float:
    """Measure the cost per second of Prometheus alone, which continues to scrape."""
    before = cpu(server.program.pid)
    time.sleep(seconds)
    return (cpu(server.program.pid) - before) / seconds


def run(scenario: Scenario, options: argparse.Namespace) -> dict[str, float]:
    """Measure one scenario: milliseconds of CPU time per tick of each side."""
    Page.text = exposition(options.models, scenario.share)
    pages = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    target = f"127.0.0.1:{pages.server_address[1]}"
    with contextlib.ExitStack() as stack:
        stack.callback(pages.server_close)
        stack.callback(pages.shutdown)
        server = stack.enter_context(prometheus(targets=[target], scrape_interval="5s"))
        wait_until(lambda: server.query("count(model_drift_score)"), 30, "first scrape")
        sides = []
        for make in (vmalert, ours):
            alerts = stack.enter_context(receiver())
            side = make(scenario, server.url, alerts)
            stack.enter_context(kept_for_the_test(side.program))
            side.program.start()
            side.program.wait_ready(lambda side=side: answers(side.metrics))
            # Warmed up: the first ticks make every alert and request, which happens once and not per tick.
            time.sleep(options.warm_up + 3 * scenario.interval)
            side.program.signal(signal.SIGSTOP)
            sides.append(side)
        alone = idle(server, 10.0)
        for _ in range(options.blocks):
            for side in sides:
                measure(side, server, options.ticks * scenario.interval)
        if options.keep_log:
            shutil.copy(sides[1].program.log_file, options.keep_log)
    return figures(scenario, sides, alone)


def figures(scenario: Scenario, sides: Sequence[Side], alone: float) -> dict[str, float]:
    """Return medians per tick, in milliseconds of CPU time."""
    result: dict[str, float] = {}
    for side in sides:
        result[f"{side.name}_ms"] = statistics.median(side.own) * scenario.interval * 1000
        store = statistics.median(side.store) - alone
        result[f"{side.name}_prometheus_ms"] = store * scenario.interval * 1000
        result[f"{side.name}_rss_mb"] = side.rss_mb
    result["ratio"] = result["ours_ms"] / result["vmalert_ms"]
    ours_total = result["ours_ms"] + result["ours_prometheus_ms"]
    result["ratio_total"] = ours_total / (result["vmalert_ms"] + result["vmalert_prometheus_ms"])
    return result


def main() -> None:
    """Run the scenarios; print a line for each, and the summary last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--ticks", type=int, default=20)
    parser.add_argument("--warm-up", type=float, default=15.0, dest="warm_up")
    parser.add_argument("--scenario", action="append", choices=[item.name for item in SCENARIOS])
    parser.add_argument("--keep-log", default="", dest="keep_log", help="copy the bridge's log there")
    options = parser.parse_args()
    version = subprocess.run(["vmalert", "-version"], capture_output=True, text=True, check=False)
    print("peer:", (version.stdout or version.stderr).strip().split("\n")[0])
    print("(vmalert writes no series here; it runs with GOGC=30 unless the scenario says otherwise)")
    results: dict[str, dict[str, float]] = {}
    for scenario in SCENARIOS:
        if options.scenario and scenario.name not in options.scenario:
            continue
        results[scenario.name] = result = run(scenario, options)
        print(f"{scenario.name:16}", "  ".join(f"{key} {value:.3f}" for key, value in result.items()), flush=True)
    print(json.dumps(summary(results)))


def summary(results: dict[str, dict[str, float]]) -> dict[str, object]:
    """Return the figures by name, without those of scenarios that did not run."""
    names: dict[str, tuple[str, str]] = {
        "ratio_signal_1pct": ("signal_1pct", "ratio"),
        "ratio_expr_1pct": ("expr_1pct", "ratio"),
        "ratio_100pct": ("100pct", "ratio"),
        "ratio_100pct_gogc100": ("100pct_gogc100", "ratio"),
        "ratio_5rules_total": ("5rules", "ratio_total"),
    }
    picked: Callable[[tuple[str, str]], float] = lambda index: round(results[index[0]][index[1]], 4)  # noqa: E731
    short: dict[str, object] = {name: picked(index) for name, index in names.items() if index[0] in results}
    short["rss_mb"] = round(max(result["ours_rss_mb"] for result in results.values()), 1)
    return {**short, "scenarios": results}


if __name__ == "__main__":
    main()
