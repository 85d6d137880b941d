"""Backtest of a month against `vmalert -replay`, on the same VictoriaMetrics, in one run.

    python -m benchmarks.backtest [--series 1000] [--days 30] [--rounds 3] [--breach 360] [--only ...]

expr: five plain rules that differ in their limits; counted is all CPU, with that of the store. vmalert evaluates the
same rules as alerts (rulesDelay 0) and writes its series back. expr_apart: five that have nothing in common. expr1:
one. signal: five `signal` rules on one signal; counted is the time until it is done, beside that of fetching and
decoding the same chunks alone. rss: how much more memory the whole span needs than a tenth of it. Medians over the
rounds, both sides in turn. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers import answers, cpu
from tests.support.processes import Program, free_port, kept_for_the_test, wait_until

LIMITS = (0.60, 0.61, 0.62, 0.63, 0.64)
ROOT = Path(__file__).resolve().parent.parent
MINUTE, DAY = 60, 86_400
SHARE = 0.01
SCENARIOS = ["expr", "expr_apart", "expr1", "signal", "rss"]


@dataclass(frozen=True)
class Used:
    """Cost of one run. own, store: CPU seconds. wall: seconds. rss_mb: own peak."""

    wall: float
    own: float
    store: float
    rss_mb: float

    @property
    def total(self) -> float:
        return self.own + self.store


@contextlib.contextmanager
def victoria_metrics() -> Iterator[tuple[str, Program]]:
    """Start an empty store."""
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="backtest-"))
    command = [
        "victoria-metrics", f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/data",
        "-retentionPeriod=100y", "-search.maxPointsPerTimeseries=50000", "-search.latencyOffset=0s",
    ]  # fmt: skip
    program, url = Program(command, folder, "victoria-metrics"), f"http://127.0.0.1:{port}"
    with kept_for_the_test(program):
        program.start()
        program.wait_ready(lambda: answers(f"{url}/health"))
        yield url, program


def fill(url: str, series: int, begins: int, minutes: int, breach: int) -> None:
    """Yield a sample per minute of every series; at any time about SHARE are breached, for `breach` minutes each."""
    rng = np.random.default_rng(7)
    times = [(begins + MINUTE * minute) * 1000 for minute in range(minutes)]
    stamps = json.dumps(times)
    for number in range(series):
        values = rng.uniform(0.1, 0.3, minutes)
        for start in np.flatnonzero(rng.random(minutes) < SHARE / breach).tolist():
            values[start : start + breach] = rng.uniform(0.7, 0.9, len(values[start : start + breach]))
        metric = {"__name__": "model_drift_score", "project": f"p{number % 20}", "pipeline": f"pipeline-{number}"}
        line = json.dumps({"metric": {**metric, "version": "1"}, "values": values.round(4).tolist()})
        post(f"{url}/api/v1/import", f'{line[:-1]}, "timestamps": {stamps}}}\n'.encode())
    post(f"{url}/internal/force_flush")
    post(f"{url}/internal/force_merge")


def post(url: str, data: bytes = b"") -> None:
    """Send a request and ignore the response."""
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method="POST"), timeout=120) as answer:
        answer.read()


def quiet(program: Program) -> None:
    """Wait until the store is idle."""

    def still() -> bool:
        before = cpu(program.pid)
        time.sleep(2.0)
        return cpu(program.pid) - before < 0.1

    wait_until(still, 300, "the store is quiet")


def used(command: list[str], url: str, store: Program) -> Used:
    """Run a command to completion. Raises when it fails."""
    post(f"{url}/internal/resetRollupResultCache")
    before, began = cpu(store.pid), time.monotonic()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        if status:
            log.seek(0)
            raise RuntimeError(f"{command[:4]} failed:\n{log.read()[-3000:].decode()}")
    time.sleep(2.0)  # what was written is stored
    own = usage.ru_utime + usage.ru_stime
    return Used(wall, own, cpu(store.pid) - before, usage.ru_maxrss / 1024)


def expressions(rules: int, *, apart: bool) -> list[str]:
    """Return the rules. apart: they share nothing but their values."""
    same = ("{}", "{} + 0", "{} * 1", "abs({})", "-(-{})") if apart else ("{}",) * 5
    return [f"{same[index].format('model_drift_score')} > {limit}" for index, limit in enumerate(LIMITS[:rules])]


def rule_file(folder: Path, *, signal: bool, rules: int, apart: bool = False) -> Path:
    """Return the rule file of the bridge."""
    written = []
    for index, (limit, expr) in enumerate(zip(LIMITS[:rules], expressions(rules, apart=apart), strict=True)):
        what: dict[str, object] = {"expr": expr}
        if signal:
            what = {"signal": "drift", "strategy": {"threshold": {"max": limit}}}
        written.append({"retrain": f"Drift{index}", **what, "cooldown": "1h"})
    group: dict[str, object] = {"name": "g", "interval": "1m", "query_offset": "0s", "rules": written}
    if signal:
        group["signals"] = {"drift": {"event": "drift", "expr": "model_drift_score"}}
    path = folder / f"{'signal' if signal else 'expr'}-{rules}{'-apart' if apart else ''}.yml"
    path.write_text(json.dumps({"groups": [group]}))
    return path


def alert_file(folder: Path, rules: int, *, apart: bool = False) -> Path:
    """Return the same rules as vmalert alerts."""
    exprs = expressions(rules, apart=apart)
    written = [{"alert": f"Drift{index}", "expr": expr} for index, expr in enumerate(exprs)]
    path = folder / f"alerts-{rules}{'-apart' if apart else ''}.yml"
    path.write_text(json.dumps({"groups": [{"name": "g", "interval": "1m", "rules": written}]}))
    return path


def ours(rules: Path, url: str, begins: int, ends: int) -> list[str]:
    """Run the bridge's backtest."""
    return [
        sys.executable, "-m", "bridge.cli", "backtest", f"--rules={rules}", f"--prometheus.url={url}",
        f"--from={begins}", f"--to={ends}",
    ]  # fmt: skip


def vmalert(rules: Path, url: str, begins: int, ends: int) -> list[str]:
    """Run vmalert's replay."""
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    return [
        "vmalert", f"-rule={rules}", f"-datasource.url={url}", f"-remoteWrite.url={url}",
        f"-replay.timeFrom={time.strftime(stamp, time.gmtime(begins))}",
        f"-replay.timeTo={time.strftime(stamp, time.gmtime(ends))}", "-replay.rulesDelay=0s",
        "-httpListenAddr=127.0.0.1:0", "-replay.disableProgressBar",
    ]  # fmt: skip


def fetch_alone(url: str, begins: int, ends: int) -> None:
    """Fetch and decode the chunks of a signal, and discard them. Runs in its own process."""
    from bridge.authoring.backtest.backtest import of_rules  # noqa: PLC0415 - of the other process
    from bridge.domain.model import ModelTable  # noqa: PLC0415
    from bridge.engine.replay.replay import slots  # noqa: PLC0415
    from bridge.sources import history  # noqa: PLC0415
    from bridge.sources.api import Api  # noqa: PLC0415
    from bridge.sources.reading import Reader  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        plan = of_rules([rule_file(Path(folder), signal=True, rules=1)], url)
    (group,) = plan.groups
    api = Api(plan.servers["prometheus"], Path(), 30.0)
    samples = 0
    for piece in history.fetched(
        Reader(api, ModelTable()), group.queries["drift"], slots(group, begins * 1000, ends * 1000), 0,
        plan.servers["prometheus"].max_samples,
    ):  # fmt: skip
        samples += sum(int(column.samples.present.sum()) for column in piece.columns)
    api.close()
    print(samples, resource.getrusage(resource.RUSAGE_SELF).ru_utime)


def medians(runs: list[Used]) -> dict[str, float]:
    """Return the median of each figure."""
    names = ("wall", "own", "store", "total", "rss_mb")
    return {name: round(statistics.median(getattr(run, name) for run in runs), 2) for name in names}


def compare(sides: dict[str, list[str]], url: str, store: Program, rounds: int) -> dict[str, dict[str, float]]:
    """Run both sides in turn."""
    runs: dict[str, list[Used]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, command in sides.items():
            quiet(store)
            runs[name].append(used(command, url, store))
            print(f"  {name:14}", runs[name][-1], flush=True)
    return {name: medians(result) for name, result in runs.items()}


def main() -> None:
    """Fill the store, run both sides, and print the summary last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--breach", type=int, default=360, help="minutes that a breach lasts")
    parser.add_argument("--only", action="append", choices=SCENARIOS)
    parser.add_argument("--fetch-alone", nargs=3, metavar=("URL", "FROM", "TO"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fetch_alone:
        url, begins, ends = options.fetch_alone
        return fetch_alone(url, int(begins), int(ends))
    expected = options.only or SCENARIOS
    version = subprocess.run(["vmalert", "-version"], capture_output=True, text=True, check=False)
    print("peer:", (version.stdout or version.stderr).strip().split("\n")[0])
    ends = 1_790_000_000 // DAY * DAY
    begins = ends - options.days * DAY
    with victoria_metrics() as (url, store), tempfile.TemporaryDirectory() as name:
        fill(url, options.series, begins, options.days * DAY // MINUTE, options.breach)
        print(json.dumps(measure(expected, Path(name), url, store, begins, ends, options.rounds)))
    return None


def measure(
    expected: list[str], folder: Path, url: str, store: Program, begins: int, ends: int, rounds: int
) -> dict[str, object]:
    """Return the figures of the summary."""
    result: dict[str, object] = {}
    scenarios: dict[str, dict[str, dict[str, float]]] = {}
    for name, rules in (("expr", 5), ("expr_apart", 5), ("expr1", 1)):
        if name in expected:
            apart = name == "expr_apart"
            sides = {
                "vmalert": vmalert(alert_file(folder, rules, apart=apart), url, begins, ends),
                "ours": ours(rule_file(folder, signal=False, rules=rules, apart=apart), url, begins, ends),
            }
            scenarios[name] = both = compare(sides, url, store, rounds)
            result[f"ratio_{name}_cpu"] = round(both["ours"]["total"] / both["vmalert"]["total"], 3)
    if "signal" in expected:
        alone = [sys.executable, "-m", "benchmarks.backtest", "--fetch-alone", url, str(begins), str(ends)]
        command = ours(rule_file(folder, signal=True, rules=5), url, begins, ends)
        scenarios["signal"] = both = compare({"fetch alone": alone, "ours": command}, url, store, rounds)
        for figure in ("wall", "own"):
            result[f"ratio_signal_{figure}"] = round(both["ours"][figure] / both["fetch alone"][figure], 3)
    if "rss" in expected:
        rules_file = rule_file(folder, signal=True, rules=1)
        tenth = ends - (ends - begins) // 10
        sides = {"a tenth": ours(rules_file, url, tenth, ends), "whole": ours(rules_file, url, begins, ends)}
        scenarios["rss"] = both = compare(sides, url, store, 1)
        result["rss_growth"] = round(both["whole"]["rss_mb"] / both["a tenth"]["rss_mb"], 3)
    return {**result, "scenarios": scenarios}


if __name__ == "__main__":
    main()
