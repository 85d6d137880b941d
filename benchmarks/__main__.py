"""Default run of the benchmarks of speed and memory, one after the other, within an hour.

    python -m benchmarks [--minutes 60] [--only NAME ...]

Each benchmark is a process of its own, and ends after its limit, at most eight minutes; what has not begun when the
time is over is left out. Sizes are smaller than those of a benchmark run by itself where that would take longer. The
last line is one JSON object: the figures of each benchmark, or why there are none.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """One benchmark of the default run. command: module and options. limit: seconds after which it ends."""

    name: str
    command: str
    limit: float


RUNS = (
    Run("start", "start --rounds 3", 180),
    Run("breaches", "breaches", 180),
    Run("outbox", "outbox --sinks coordinator --latency 50 --store sqlite --seconds 240", 300),
    Run(
        "outbox of 100,000",
        "outbox --requests 100000 --sinks coordinator --latency 0 --store sqlite --seconds 400",
        480,
    ),
    Run("held", "held", 180),
    Run("history", "history --requests 60000 --decisions 200000", 420),
    Run("reads of 50 rules", "reads --scenario 50_rules", 240),
    Run("backtest", "backtest --only signal --rounds 1", 420),
    Run("tick of a signal rule", "tick --scenario signal_1pct", 240),
    Run("tick of an expr rule", "tick --scenario expr_1pct", 240),
    Run("tick of five rules", "tick --scenario 5rules --blocks 2", 240),
    Run("tick of 100,000 models", "tick --scenario 100k_signal_1pct --blocks 1", 480),
)


def figures(command: str, limit: float) -> Any:
    """Return the JSON object that a benchmark prints last, or a text that says why there is none."""
    words = [sys.executable, "-m", *f"benchmarks.{command}".split()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its servers end with it
            return f"did not end within {limit:.0f} s"
    if process.returncode:
        return f"failed with exit code {process.returncode}"
    return json.loads(output.strip().rpartition("\n")[2])


def main() -> None:
    """Run the benchmarks, and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--only", action="append", choices=[run.name for run in RUNS])
    options = parser.parse_args()
    ends = time.monotonic() + 60 * options.minutes
    result: dict[str, Any] = {}
    for run in RUNS:
        if options.only and run.name not in options.only:
            continue
        remaining, began = ends - time.monotonic(), time.monotonic()
        result[run.name] = figures(run.command, min(run.limit, remaining)) if remaining > 0 else "not begun in time"
        print(
            f"{run.name}, {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.0f}: {result[run.name]}",
            flush=True,
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
