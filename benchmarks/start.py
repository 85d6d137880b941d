"""Benchmark of the start: CPU until the first evaluation, and of the commands that containers run.

    python -m benchmarks.start [--rounds 5] [--models 100] [--beside DIR]

A bridge with one `signal` rule is started with a new database, and started again after kill -9; then `--version`,
`healthcheck` and `--help` run. CPU is that of the process, user and system. Python's bytecode is cached, as in an
installation. beside: another version of the source, measured in turn. The last line is one JSON object: medians, and
the least of all rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.peers import MeasuredProgram, Page, Scenario, answers, cpu, environment, exposition, ours, receiver
from tests.support.processes import kept_for_the_test, wait_until
from tests.support.servers import prometheus

ROOT = Path(__file__).resolve().parent.parent
PAUSE = 0.002  # seconds between two looks at the database
LONGEST = 120.0  # seconds that a start may take
STARTED = "retrain-bridge started"


def started(side: MeasuredProgram) -> dict[str, float]:
    """Start a bridge; return CPU seconds until its first evaluation is stored, and until it serves everything."""
    slot, lines, ends = side.slot, side.program.log.count(STARTED), time.monotonic() + LONGEST
    side.program.start()
    while side.slot <= slot and time.monotonic() < ends:
        time.sleep(PAUSE)
    evaluated = cpu(side.program.pid)
    while side.program.log.count(STARTED) <= lines and time.monotonic() < ends:
        time.sleep(PAUSE)
    return {"evaluated_s": evaluated, "serving_s": cpu(side.program.pid)}


def command(words: list[str], env: dict[str, str]) -> float:
    """Return the CPU seconds of a command. Raises when it fails."""
    process = subprocess.Popen([sys.executable, "-m", "bridge.cli", *words], stdout=subprocess.DEVNULL, env=env)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise RuntimeError(f"{words} failed")
    return usage.ru_utime + usage.ru_stime


def one_round(source: Path, server: str, alerts: str, models: int) -> dict[str, float]:
    """Return the CPU seconds of every start and command of a version."""
    env = environment(source)
    side = ours(Scenario("start", 0.01, signal=True, models=models), server, alerts)
    side.program.env = env
    with kept_for_the_test(side.program):
        result = {f"new_{name}": value for name, value in started(side).items()}
        side.program.kill()
        result |= {f"again_{name}": value for name, value in started(side).items()}
        address = side.metrics.removesuffix("/metrics")
        wait_until(lambda: answers(f"{address}/-/ready"), LONGEST, "ready")
        for words in (["--version"], ["healthcheck", "--bridge.url", address], ["--help"]):
            result[words[0]] = command(words, env)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--beside", type=Path, metavar="DIR", help="another checkout, measured in turn")
    options = parser.parse_args()
    sources = {"this": ROOT} | ({"other": options.beside.resolve()} if options.beside else {})
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sources}
    with contextlib.ExitStack() as stack:
        page = Page([exposition(options.models, 0.01)])
        stack.callback(page.close)
        server = stack.enter_context(prometheus(targets=[page.target], scrape_interval="5s"))
        wait_until(lambda: server.query("count(model_drift_score)"), LONGEST, "a scrape")
        alerts = stack.enter_context(receiver())
        for number in range(options.rounds + 1):
            for name, source in sources.items():
                figures = one_round(source, server.url, alerts, options.models)
                if number:  # the first round writes the bytecode
                    runs[name].append(figures)
                    print(name, {key: round(value, 3) for key, value in figures.items()}, flush=True)
    result = {
        name: {
            key: {"median": round(statistics.median(values), 3), "least": round(min(values), 3)}
            for key in rounds[0]
            if (values := [item[key] for item in rounds])
        }
        for name, rounds in runs.items()
    }
    print(json.dumps({**result, "load": os.getloadavg()[1]}))


if __name__ == "__main__":
    main()
