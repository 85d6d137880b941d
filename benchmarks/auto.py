"""Benchmark of `strategy: auto`: requests on signals without changes, delays after steps, and a score on labelled data.

    python -m benchmarks.auto [--models 1000] [--days 90] [--data DIR]

Signals are generated: the logarithm of a latency is a level, a daily and a weekly wave (or, `weekend`, a lower level
on two days of seven), and AR(1) noise; one number every `step` seconds, a seed for each run. The strategy itself
judges, as in the engine, and a request is the beginning of an alarm at least six hours after the last one. Errors are
binomial.

With --data: rules with each sensitivity are backtested over the labelled series of DIR (its start_prometheus.sh starts
a real Prometheus, its score.py counts), by the command line, with a cooldown of six hours: once for each version of the
pipelines that are served side by side, and once for all together. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND
from bridge.domain.verdict import Code
from bridge.strategies.auto import PROMISED
from bridge.strategies.registry import build
from tests.support.processes import free_port

START = 1_700_006_400_000  # a Wednesday, 00:00 UTC
WARM = 28  # days before a step
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Signal:
    """Generated signal. daily, weekly, sigma: in units of the logarithm; step: seconds between samples."""

    name: str
    daily: float = 0.3
    weekly: float = 0.1
    weekend: bool = False
    phi: float = 0.5
    sigma: float = 0.1
    step: int = 300

    def numbers(self, rng: np.random.Generator, models: int, days: int) -> Iterator[tuple[int, Floats]]:
        """Yield slots with logarithms (models,)."""
        noise = rng.standard_normal(models) * self.sigma
        innovation = self.sigma * math.sqrt(1 - self.phi**2)
        for slot in range(START, START + days * DAY, self.step * SECOND):
            noise = self.phi * noise + innovation * rng.standard_normal(models)
            day = self.daily * math.sin(2 * math.pi * (slot % DAY) / DAY)
            if self.weekend:
                week = -self.weekly if (slot // DAY + 4) % 7 >= 5 else 0.0
            else:
                week = self.weekly * math.sin(2 * math.pi * (slot % (7 * DAY)) / (7 * DAY))
            yield slot, math.log(0.2) + day + week + noise


SIGNALS = (
    Signal("day and week"),
    Signal("weekends", weekend=True),
    Signal("no season", daily=0, weekly=0, phi=0),
    Signal("AR 0.9", phi=0.9),
    Signal("less noise", sigma=0.05),
    Signal("every minute, AR 0.9", phi=0.9, step=60),
)


class Watch:
    """Run of `auto` over many models, with the first breach of each."""

    def __init__(self, models: int, event: EventKind) -> None:
        self._strategy = build(StrategySpec("auto", {}))
        self._state = self._strategy.new_state(models)
        self._event, self._table, self._index = event, ModelTable(), np.arange(models, dtype=np.int32)
        self._on = np.zeros(models, np.bool_)

    def see(self, slot: int, columns: dict[str, Floats]) -> NDArray[np.bool_]:
        """Return the models that become breached."""
        batch = EventBatch("signal", self._event, slot, self._table, self._index, columns)
        on = self._strategy.analyse_batch(batch, self._state).code == Code.BREACHED
        begins, self._on = on & ~self._on, on
        return np.asarray(begins)


def middle_and_late(result: Floats) -> tuple[float, float]:
    """Return median and 90th percentile; infinite where too many were never detected."""
    ordered = np.sort(result)
    return float(ordered[len(result) // 2]), float(ordered[min(len(result) - 1, int(len(result) * 0.9))])


def quiet(kind: Signal, models: int, days: int, seed: int) -> float:
    """Return requests per model and quarter, on a signal without changes."""
    rng, watch = np.random.default_rng(seed), Watch(models, EventKind.LATENCY)
    last, count = np.full(models, -DAY), 0
    for slot, numbers in kind.numbers(rng, models, days):
        asks = watch.see(slot, {"value": np.exp(numbers)}) & (slot - last >= 6 * HOUR)
        last[asks] = slot
        count += int(asks.sum())
    return count / models / days * 90


def delays(kind: Signal, size: float, models: int, seed: int) -> tuple[float, float]:
    """Return minutes from a step by `size` (0.2: 20 %) at any time of the week to an alarm: median and p90."""
    rng, watch = np.random.default_rng(seed), Watch(models, EventKind.LATENCY)
    steps = START + WARM * DAY + (rng.random(models) * 7 * DAY).astype(np.int64)
    result = np.full(models, np.inf)
    for slot, numbers in kind.numbers(rng, models, WARM + 9):
        stepped = slot >= steps
        begins = watch.see(slot, {"value": np.exp(numbers + stepped * math.log1p(size))})
        first = begins & stepped & np.isinf(result)
        result[first] = (slot - steps[first]) / MINUTE
    return middle_and_late(result)


def errors_doubled(each: int, models: int, seed: int) -> tuple[float, float]:
    """Return requests from a doubling of an error rate of 1 % to an alarm: median and p90; `each` per window of 5m."""
    rng, watch = np.random.default_rng(seed), Watch(models, EventKind.INFERENCE_ERROR)
    result, began = np.full(models, np.inf), START + 7 * DAY
    for slot in range(START, START + 9 * DAY, 5 * MINUTE):
        share = 0.02 if slot >= began else 0.01
        columns = {"errors": rng.binomial(each, share, models).astype(float), "total": np.full(models, float(each))}
        first = watch.see(slot, columns) & (slot >= began) & np.isinf(result)
        result[first] = each * ((slot - began) // (5 * MINUTE) + 1)
    return middle_and_late(result)


def quiet_errors(each: int, models: int, days: int, seed: int) -> float:
    """Return requests per model and quarter, at a steady error rate of 1 %."""
    rng, watch, count = np.random.default_rng(seed), Watch(models, EventKind.INFERENCE_ERROR), 0
    for slot in range(START, START + days * DAY, 5 * MINUTE):
        columns = {"errors": rng.binomial(each, 0.01, models).astype(float), "total": np.full(models, float(each))}
        count += int(watch.see(slot, columns).sum())
    return count / models / days * 90


# ---------------------------------------------------------------- labelled data

SIGNALS_OF = {
    "latency": {"event": "latency", "unit": "seconds", "expr": "max by (LABELS) (model_latency_seconds{MODELS})"},
    "drift": {"event": "custom", "expr": "max by (LABELS) (model_drift_score{MODELS})"},
    "error_ratio": {
        "event": "inference_error", "window": "10m",
        "errors": "sum by (LABELS) (increase(model_errors_total{MODELS}[$window]))",
        "total": "sum by (LABELS) (increase(model_requests_total{MODELS}[$window]))",
    },
}  # fmt: skip
Model = dict[str, Any]


def rules_for(models: list[Model], sensitivity: str) -> dict[str, Any]:
    """Return a rule for each signal that is some model's primary one, over those models only."""
    group: dict[str, Any] = {"name": "labelled", "interval": "5m", "signals": {}, "rules": []}
    for name, query in SIGNALS_OF.items():
        projects = {item["project"].replace(".", "[.]") for item in models if name in item["primary"].split("|")}
        if projects:
            versions = sorted({item["version"] for item in models})
            chosen = f"project=~'{'|'.join(sorted(projects))}',version=~'{'|'.join(versions)}'"
            text = json.dumps(query).replace("LABELS", "project, pipeline, version").replace("MODELS", chosen)
            group["signals"][name] = json.loads(text)
            rule = {"retrain": f"Auto-{name}", "signal": name, "strategy": {"auto": {"sensitivity": sensitivity}}}
            group["rules"].append({**rule, "cooldown": "6h"})
    return {"groups": [group]}


def backtest(url: str, models: list[Model], sensitivity: str, end: int, folder: Path) -> str:
    """Return the decisions of one backtest over models, as JSON lines."""
    (folder / "rules.yml").write_text(json.dumps(rules_for(models, sensitivity)))
    config = {
        "global": {"query_offset": "0s"}, "prometheus": {"url": url}, "rule_files": ["rules.yml"],
        "route": {"receiver": "log"}, "receivers": [{"name": "log", "log_configs": [{}]}],
    }  # fmt: skip
    (folder / "bridge.yml").write_text(json.dumps(config))
    first = min(item["rows"][0][0] for item in models)
    subprocess.run(
        [sys.executable, "-m", "bridge.cli", "backtest", f"--config.file={folder / 'bridge.yml'}", f"--from={first}",
         f"--to={end}", f"--decisions={folder / 'decisions.jsonl'}"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return (folder / "decisions.jsonl").read_text()


def labelled(data: Path, part: str, sensitivity: str = "normal", *, apart: bool = True) -> dict[str, Any]:
    """Return scores by family. apart: backtest versions that are served side by side one by one."""
    labels = json.loads((data / part / "labels.json").read_text())
    models, port = labels["models"], free_port()
    versions = sorted({item["version"] for item in models}) if apart else [None]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        started = subprocess.run(
            [str(data / "start_prometheus.sh"), part, str(port)], env={**os.environ, "RUN_DIR": str(folder / "run")},
            stdout=subprocess.PIPE, text=True, check=True, timeout=120,
        )  # fmt: skip
        try:
            decisions = [
                backtest(
                    f"http://127.0.0.1:{port}", [item for item in models if version in {item["version"], None}],
                    sensitivity, labels["end"], folder,
                )
                for version in versions
            ]  # fmt: skip
        finally:
            os.kill(int(started.stdout.split()[-1]), signal.SIGTERM)
        (folder / "decisions.jsonl").write_text("".join(decisions))
        families = ["", *sorted({item["family"] for item in models})]
        return {family or "all": score(data, part, folder, family) for family in families}


def score(data: Path, part: str, folder: Path, family: str) -> dict[str, float]:
    """Return the output of score.py for the decisions, with a cooldown of six hours."""
    command = [
        sys.executable, str(data / "score.py"), "--labels", str(data / part / "labels.json"), "--decisions",
        str(folder / "decisions.jsonl"), "--cooldown", "21600", "--json", *(["--family", family] if family else []),
    ]  # fmt: skip
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["groups"]["ALL"]
    expected = ("windows", "detected", "fa_per_model_week", "median_delay", "nab")
    return {key: round(told[key], 3) for key in expected}


def main() -> None:
    """Print a line for each measurement, and the summary last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, help="folder with the labelled series")
    parser.add_argument("--part", default="dev", help="which part of them")
    options = parser.parse_args()
    result: dict[str, Any] = {"quiet": {}, "minutes": {}}
    for place, kind in enumerate(SIGNALS):
        began, days = time.monotonic(), max(14, options.days * kind.step // 300)
        calm = quiet(kind, options.models, days, options.seed + place)
        result["quiet"][kind.name] = round(calm, 3)
        result["minutes"][kind.name] = {
            f"+{size:.0%}": delays(kind, size, options.models // 4, options.seed + 100 + place) for size in (0.2, 0.4)
        }
        told = ", ".join(f"{key} {one:.0f} ({nine:.0f})" for key, (one, nine) in result["minutes"][kind.name].items())
        print(f"{kind.name}: {calm:.2f} a quarter; minutes {told} [{time.monotonic() - began:.0f} s]", flush=True)
    result["quiet"]["errors"] = round(quiet_errors(50, options.models, options.days, options.seed), 3)
    result["requests_until_doubled"] = errors_doubled(50, options.models, options.seed)
    print(f"errors: {result['quiet']['errors']} a quarter; requests {result['requests_until_doubled']}", flush=True)
    if options.data:
        result["labelled"] = {}
        for sensitivity, apart in itertools.product(PROMISED, (True, False)):
            name = f"{sensitivity}, {'versions apart' if apart else 'one run'}"
            result["labelled"][name] = labelled(options.data, options.part, sensitivity, apart=apart)
            print(f"{name}: {result['labelled'][name]['all']}", flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
