"""Benchmark of one tick of 10,000 or 100,000 models against vmalert, on the same Prometheus, in one run.

    python -m benchmarks.tick [--scenario NAME ...] [--blocks N] [--ticks N] [--models N]

Both sides evaluate the same rules against the same Prometheus in alternating blocks (the other one is stopped by
SIGSTOP meanwhile), render annotations and re-send every firing alert every tick to the same kind of receiver, and
have their /metrics read once a block. Blocks begin when the bridge has delivered its first alerts; that phase is
measured by itself. Counted is each process's own CPU, user and system, by its CPU clock, and Prometheus' apart. Medians
over the blocks. The last line is one JSON object.
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
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.peers import MeasuredProgram, Page, Scenario, answers, cpu, expositions, ours, receiver, rss_mb, vmalert
from tests.support.processes import kept_for_the_test, wait_until
from tests.support.servers import Prometheus, prometheus

LONGEST = 150.0  # seconds that first deliveries may take before blocks begin
MANY = 100_000
SCENARIOS = (
    Scenario("signal_1pct", 0.01, signal=True),
    Scenario("expr_1pct", 0.01, signal=False),
    Scenario("signal_1pct_moving", 0.01, signal=True, moving=True),
    Scenario("5rules", 0.01, signal=True, rules=5, interval=2, ticks=8),
    Scenario("10rules", 0.01, signal=True, rules=10, interval=2, ticks=8, blocks=2),
    Scenario("50rules", 0.01, signal=True, rules=50, interval=10, ticks=3, blocks=2),
    Scenario("100pct", 1.0, signal=True, interval=4, ticks=5),
    Scenario("100pct_moving", 1.0, signal=True, interval=4, ticks=5, moving=True),
    Scenario("delivery", 1.0, signal=True, interval=4, ticks=5, blocks=1, grouped=False),
    Scenario("1m", 0.01, signal=True, interval=60, ticks=2, blocks=1),
    Scenario("100k_signal_1pct", 0.01, signal=True, interval=10, models=MANY, ticks=2, blocks=2),
    Scenario("100k_expr_1pct", 0.01, signal=False, interval=10, models=MANY, ticks=2, blocks=2),
    Scenario("100k_5rules_1pct", 0.01, signal=True, rules=5, interval=15, models=MANY, ticks=2, blocks=2),
    Scenario("100k_100pct", 1.0, signal=True, interval=60, models=MANY, ticks=1, blocks=1),
    Scenario(
        "100k_5rules_100pct", 1.0, signal=True, rules=5, interval=60, models=MANY, ticks=2, blocks=1, beside=False
    ),
)
ON_DEMAND = (Scenario("100pct_gogc100", 1.0, signal=True, interval=4, ticks=5, gogc=100),)


@dataclass
class Bench:
    """Prometheus, its page, and the sides of one scenario, stopped unless they are measured."""

    scenario: Scenario
    page: Page
    server: Prometheus
    stack: contextlib.ExitStack
    result: dict[str, float] = field(default_factory=dict)

    def start(self, side: MeasuredProgram) -> None:
        """Start one side, and wait until it answers."""
        self.stack.enter_context(kept_for_the_test(side.program))
        side.program.start()
        side.program.wait_ready(lambda: answers(side.metrics), 120)

    def show(self, share: float) -> None:
        """Let the page have that share of breached models, and wait until Prometheus has it."""
        self.page.texts = expositions(self.scenario, share)
        breached = int(self.scenario.models * share)
        wait_until(lambda: self._breached() == breached, 120, "a scrape")

    def _breached(self) -> int:
        found = self.server.query("count(model_drift_score > 0.65)")
        return int(found[0]["value"][1]) if found else 0 if self.server.query("count(model_drift_score)") else -1


@contextlib.contextmanager
def bench(scenario: Scenario) -> Iterator[Bench]:
    """Start Prometheus with a page of which nothing is breached."""
    with contextlib.ExitStack() as stack:
        page = Page(expositions(scenario, 0.0))
        stack.callback(page.close)
        every = "10s" if scenario.models > 10_000 else "5s"
        if scenario.moving:
            every = f"{max(1, scenario.interval // 2)}s"
        server = stack.enter_context(prometheus(targets=[page.target], scrape_interval=every))
        made = Bench(scenario, page, server, stack)
        made.show(0.0)
        yield made


def seconds_used(side: MeasuredProgram, until: str, check: int) -> tuple[float, float]:
    """Wait until an attribute of the side exceeds `check`; return its CPU seconds so far, and the wall time."""
    began = time.monotonic()
    wait_until(lambda: getattr(side, until) > check, LONGEST, until)
    return cpu(side.program.pid), time.monotonic() - began


def first_breaches(made: Bench, side: MeasuredProgram) -> None:
    """Measure the tick in which all breaches begin, and the delivery of their requests."""
    scenario, pid, result = made.scenario, side.program.pid, made.result
    seconds_used(side, "slot", side.slot)
    before, slot = cpu(pid), side.slot
    made.show(scenario.share)
    committed, _ = seconds_used(side, "requests", 0)
    ticks = max(1.0, (side.slot - slot) / 1000 / scenario.interval)
    result["first_tick_s"] = committed - before  # with the ticks since the last one without breaches
    began, used, slot = time.monotonic(), cpu(pid), side.slot
    while (left := side.pending) and time.monotonic() - began < LONGEST:
        time.sleep(0.2 if scenario.breached < MANY else 2.0)
    wall, used = time.monotonic() - began, cpu(pid) - used
    ticks = max(1.0, (side.slot - slot) / 1000 / scenario.interval)
    done = scenario.breached - left
    result |= {
        "delivery_s": wall, "delivered": done, "delivery_ms": 1000 * used / max(done, 1),
        "delivery_tick_ms": 1000 * used / ticks, "rss_peak_mb": rss_mb(pid, peak=True),
    }  # fmt: skip


def restart(made: Bench, side: MeasuredProgram) -> None:
    """Measure the CPU until the first tick is stored after kill -9."""
    slot = side.slot
    side.program.signal(signal.SIGCONT)
    side.program.kill()
    side.program.start()
    made.result["restart_s"], made.result["restart_wall_s"] = seconds_used(side, "slot", slot)


def measure(side: MeasuredProgram, server: Prometheus, seconds: float, alone: float) -> None:
    """Run one side for a block, and record its cost per tick. alone: Prometheus' cost per second without queries."""
    side.program.signal(signal.SIGCONT)
    time.sleep(1.0)  # what piled up while it was stopped is not part of a block
    ticks, began = side.ticks, time.monotonic()
    before, store = cpu(side.program.pid), cpu(server.program.pid)
    time.sleep(seconds / 2)
    answers(side.metrics)
    time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    used, store = cpu(side.program.pid) - before, cpu(server.program.pid) - store
    took = time.monotonic() - began
    ticks = max(1.0, side.ticks - ticks)
    side.own.append(used / ticks)
    side.store.append((store - alone * took) / ticks)
    side.rss_mb = max(side.rss_mb, rss_mb(side.program.pid))
    side.program.signal(signal.SIGSTOP)


def idle(server: Prometheus, seconds: float) -> float:
    """Measure the cost per second of Prometheus alone, which continues to scrape."""
    before = cpu(server.program.pid)
    time.sleep(seconds)
    return (cpu(server.program.pid) - before) / seconds


def run(scenario: Scenario, options: argparse.Namespace) -> dict[str, float]:
    """Measure one scenario: milliseconds of CPU time per tick of each side."""
    began = time.monotonic()
    with bench(scenario) as made:
        own = ours(scenario, made.server.url, made.stack.enter_context(receiver()))
        made.start(own)
        first_breaches(made, own)
        own.program.signal(signal.SIGSTOP)
        sides = [own]
        if scenario.beside:
            peer = vmalert(scenario, made.server.url, made.stack.enter_context(receiver()))
            made.start(peer)
            time.sleep(15 + min(scenario.interval, 60))  # its first ticks make every alert
            peer.program.signal(signal.SIGSTOP)
            sides.append(peer)
        alone = idle(made.server, 20.0 if scenario.models > 10_000 else 10.0)
        for _ in range(scenario.blocks):
            for side in sides:
                measure(side, made.server, scenario.ticks * scenario.interval, alone)
        if scenario.name in ("100k_signal_1pct", "100k_100pct"):
            restart(made, own)
        if options.keep_log:
            shutil.copy(own.program.log_file, options.keep_log)
    return {**figures(scenario, sides), **made.result, "minutes": (time.monotonic() - began) / 60}


def figures(scenario: Scenario, sides: Sequence[MeasuredProgram]) -> dict[str, float]:
    """Return medians per tick, in milliseconds of CPU time."""
    result: dict[str, float] = {}
    for side in sides:
        result[f"{side.name}_ms"] = statistics.median(side.own) * 1000
        result[f"{side.name}_prometheus_ms"] = statistics.median(side.store) * 1000
        result[f"{side.name}_rss_mb"] = side.rss_mb
    if scenario.beside:
        result["ratio"] = result["ours_ms"] / result["vmalert_ms"]
        total = result["ours_ms"] + result["ours_prometheus_ms"]
        result["ratio_total"] = total / (result["vmalert_ms"] + result["vmalert_prometheus_ms"])
    return result


def main() -> None:
    """Run the scenarios; print a line for each, and the summary last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=0, help="instead of the scenario's")
    parser.add_argument("--blocks", type=int, default=0, help="instead of the scenario's")
    parser.add_argument("--ticks", type=int, default=0, help="of a block, instead of the scenario's")
    parser.add_argument("--alone", action="store_true", help="without vmalert")
    parser.add_argument("--scenario", action="append", choices=[item.name for item in (*SCENARIOS, *ON_DEMAND)])
    parser.add_argument("--keep-log", type=Path, dest="keep_log", help="copy the bridge's log there")
    options = parser.parse_args()
    version = subprocess.run(["vmalert", "-version"], capture_output=True, text=True, check=False)
    print("peer:", (version.stdout or version.stderr).strip().split("\n")[0])
    print("(vmalert writes no series here; it runs with GOGC=30 unless the scenario says otherwise)")
    chosen = [item for item in (*SCENARIOS, *ON_DEMAND) if item.name in (options.scenario or ())] or SCENARIOS
    results: dict[str, dict[str, float]] = {}
    for scenario in chosen:
        given = {name: value for name in ("models", "blocks", "ticks") if (value := getattr(options, name))}
        result = run(replace(scenario, **given, beside=scenario.beside and not options.alone), options)
        results[scenario.name] = {**result, "load": os.getloadavg()[1]}
        print(f"{scenario.name:18}", "  ".join(f"{key} {value:.3f}" for key, value in result.items()), flush=True)
    print(json.dumps({name: {key: round(value, 4) for key, value in item.items()} for name, item in results.items()}))


if __name__ == "__main__":
    main()
