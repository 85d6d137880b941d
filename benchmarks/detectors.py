"""Benchmark of detectors on standardised signals: false alarms, delays, time per tick, bytes.

    OMP_NUM_THREADS=1 python -m benchmarks.detectors [--models 1000] [--days 20] [--size 100000] [--seed 1] [--write]

Streams have noise of variance 1 around a level: independent, AR(0.5), AR(0.9), or AR(0.5) on a daily and a weekly wave
of three and two sigmas. The strategies judge themselves, as in the engine; reference and noise are learnt from the
stream, for eight days, or three weeks of a season. A sample comes every five minutes. ARL0 is samples per false alarm:
all samples of healthy models by all alarms that began. Delays are samples from a lasting shift to the alarm. --write
puts the tables into docs/strategies/measured.md. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.app.memory import keep_large_buffers
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.domain.verdict import Code
from bridge.strategies.detector import Detector
from bridge.strategies.registry import build

Floats = NDArray[np.float64]
PAGE = Path(__file__).parents[1] / "docs" / "strategies" / "measured.md"
START, STEP = 1_700_006_400_000, 5 * MINUTE
A_DAY = DAY // STEP
MOST = 600  # samples that a shift is waited for
DETECTORS = ("seasonal_cusum", "ewma", "page_hinkley", "kswin", "adwin")
STREAMS = {"independent": (0.0, 0.0), "AR(0.5)": (0.5, 0.0), "AR(0.9)": (0.9, 0.0), "seasonal": (0.5, 1.0)}


class Stream:
    """Noise of `models` models, sample by sample. waves: factor on waves of three and two sigmas. shift: added."""

    def __init__(self, models: int, phi: float, waves: float, seed: int) -> None:
        self.draw, self.phi, self.waves = np.random.default_rng(seed), phi, waves
        self.noise = self.draw.standard_normal(models)
        self.slot, self.shift = START, 0.0

    def sample(self) -> Floats:
        """Return the next sample."""
        self.slot += STEP
        fresh = np.sqrt(1 - self.phi**2) * self.draw.standard_normal(len(self.noise))
        self.noise = self.phi * self.noise + fresh
        day, week = (np.sin(2 * np.pi * self.slot / length) for length in (DAY, 7 * DAY))
        return 100 + self.waves * (3 * day + 2 * week) + self.shift + self.noise


class Look:
    """Detector that evaluates a stream, with a reference that suits the stream."""

    def __init__(self, name: str, stream: Stream, params: dict[str, Any] | None = None) -> None:
        standardise = {"reference": "seasonal" if stream.waves else "version", "floor": 0.0}
        strategy = build(StrategySpec(name, {"standardise": standardise, **(params or {})}))
        assert isinstance(strategy, Detector)
        self.strategy, self.stream = strategy, stream
        self.state = strategy.new_state(len(stream.noise))

    def alarms(self) -> NDArray[np.bool_]:
        """Return the models whose alarm is on after the next sample."""
        return (
            self.strategy.analyse_batch(batch(self.stream.sample(), self.stream.slot), self.state).code == Code.BREACHED
        )

    def warm_up(self) -> None:
        """Run the warm-up."""
        for _ in range((22 if self.stream.waves else 8) * A_DAY):
            self.alarms()


def batch(values: Floats, slot: int) -> EventBatch:
    """Return a batch with one sample per model; the table stays empty, as strategies do not read it."""
    index = np.arange(len(values), dtype=np.int32)
    return EventBatch("score", EventKind.CUSTOM, slot, ModelTable(), index, {"value": values})


def run_length(name: str, stream: Stream, days: int, params: dict[str, Any] | None = None) -> tuple[float, int]:
    """Return samples per alarm of healthy models, and the number of alarms; a third of the samples without any."""
    look = Look(name, stream, params)
    look.warm_up()
    before, begun = look.alarms(), 0
    for _ in range(days * A_DAY):
        now = look.alarms()
        begun += int((now & ~before).sum())
        before = now
    return days * A_DAY * len(before) / max(begun, 3), begun


def delays(name: str, stream: Stream, shift: float, params: dict[str, Any] | None = None) -> dict[str, float]:
    """Return median and p90 of the samples until the alarm, and the share detected within MOST."""
    look = Look(name, stream, params)
    look.warm_up()
    healthy = ~look.alarms()
    result = np.full(len(healthy), np.inf)
    stream.shift = shift
    for sample in range(1, MOST + 1):
        fresh = look.alarms() & np.isinf(result)
        result[fresh] = sample
    result = result[healthy]
    median, most = (float(np.quantile(result, q, method="higher")) for q in (0.5, 0.9))
    return {"median": median, "p90": most, "found": float(np.isfinite(result).mean())}


def measured(names: tuple[str, ...], models: int, days: int, seed: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Result for a detector and a stream."""
    for name in names:
        for position, (stream, (phi, waves)) in enumerate(STREAMS.items()):
            length, begun = run_length(name, Stream(models, phi, waves, seed + position), days)
            result: dict[str, Any] = {"arl0": round(length), "false_alarms": begun}
            for sigma in (1, 2):
                few = Stream(max(models // 4, 50), phi, waves, seed + 10 + position)
                result[f"delay_{sigma}"] = delays(name, few, float(sigma))
            yield name, stream, result


def uneven(night: float, *, heavy: bool, models: int = 100, days: int = 36, seed: int = 1) -> int:
    """Count false alarms of seasonal_cusum, after eight days, on AR(0.5) latencies with 5 % noise and seasonal waves.

    night: by what factor the noise is wider from 0 to 7 o'clock. heavy: Student's t with 3 degrees of freedom.
    """
    draw, strategy = np.random.default_rng(seed), build(StrategySpec("seasonal_cusum", {}))
    state, noise, before, begun = (
        strategy.new_state(models),
        draw.standard_normal(models),
        np.zeros(models, np.bool_),
        0,
    )
    for look in range(days * A_DAY):
        slot = START + look * STEP
        fresh = draw.standard_t(3, models) / np.sqrt(3) if heavy else draw.standard_normal(models)
        noise = 0.5 * noise + np.sqrt(0.75) * fresh
        wave = 0.3 * np.sin(2 * np.pi * slot / DAY) + 0.15 * np.sin(2 * np.pi * slot / (7 * DAY))
        width = 0.05 * (night if slot % DAY < 7 * HOUR else 1.0)
        one = replace(batch(0.17 * np.exp(wave + width * noise), slot), event=EventKind.LATENCY)
        now = np.asarray(strategy.analyse_batch(one, state).code == Code.BREACHED)
        begun += int((now & ~before).sum())
        before = now
    return begun


# ---------------------------------------------------------------- speed


def milliseconds(call: Callable[[], object], times: int = 15) -> float:
    """Return the median."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return round(1000 * float(np.median(taken)), 3)


def speed(name: str, size: int) -> dict[str, float]:
    """Return milliseconds over `size` models: the detector alone, a tick while all models learn, one np.add; and bytes.

    A tick in which all models are `warming_up` only standardises.
    """
    stream = Stream(size, 0.5, 0.0, 5)
    strategy = build(StrategySpec(name, {}))
    assert isinstance(strategy, Detector)
    state = strategy.new_state(size)
    assert state is not None
    for _ in range(120):
        strategy.analyse_batch(batch(stream.sample(), stream.slot), state)
    bare, z = state["own"].copy(), stream.draw.standard_normal(size)
    for _ in range(120):
        strategy.detect(stream.draw.standard_normal(size), bare)

    def tick() -> None:
        stream.slot += STEP
        strategy.analyse_batch(batch(z, stream.slot), state)

    out = np.empty(size)
    return {
        "np_add": milliseconds(lambda: np.add(z, 1.0, out=out), 101),
        "detector": milliseconds(lambda: strategy.detect(z, bare)),
        "tick": milliseconds(tick),
        "bytes": 0 if strategy.state_dtype is None else strategy.state_dtype.itemsize,
        "bytes_own": bare.dtype.itemsize,
    }


# ---------------------------------------------------------------- report


def tables(result: dict[str, Any]) -> str:
    """Return the tables of the page."""
    lines = [
        (
            "| detector | stream | ARL0 | false alarms per quarter: at 5m, at 1m"
            " | shift by 1 sigma: median, p90 | shift by 2 sigmas: median, p90 |"
        ),
        "|---|---|---|---|---|---|",
    ]
    for name in DETECTORS:
        for stream in STREAMS:
            cell = result["cells"].get(f"{name} {stream}")
            if cell is None:
                continue
            sign = "" if cell["false_alarms"] else "> "
            quarter = 91.25 * A_DAY / cell["arl0"]
            less = "" if cell["false_alarms"] else "< "
            lines.append(
                f"| `{name}` | {stream} | {sign}{cell['arl0']:,} | {less}{quarter:.2g}, {less}{5 * quarter:.2g} |"
                f" {_delay(cell['delay_1'])} | {_delay(cell['delay_2'])} |"
            )
    lines += [
        "",
        (
            "| detector | state of a model in bytes: total, own | time: detector | time: standardisation"
            " | both times, as multiples of one `np.add` |"
        ),
        "|---|---|---|---|---|",
    ]
    for name, cost in result["speed"].items():
        alone, whole = (cost[key] / cost["np_add"] for key in ("detector", "tick"))
        size = f"{cost['bytes']}, {cost['bytes_own']}"
        lines.append(
            f"| `{name}` | {size} | {cost['detector']:.1f} ms | {cost['tick']:.0f} ms | {alone:,.0f}, {whole:,.0f} |"
        )
    return "\n".join(lines)


def _delay(cell: dict[str, float]) -> str:
    numbers = ", ".join("-" if np.isinf(cell[key]) else f"{cell[key]:.0f}" for key in ("median", "p90"))
    return numbers if cell["found"] > 0.995 else f"{numbers} ({100 * cell['found']:.0f} % found)"


def write(result: dict[str, Any]) -> None:
    """Replace the text between the markers of the page."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition("<!-- tables -->\n")
    _, _, tail = rest.partition("<!-- end -->")
    PAGE.write_text(f"{head}<!-- tables -->\n\n{tables(result)}\n\n<!-- end -->{tail}", encoding="utf-8")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    keep_large_buffers()  # as the bridge does
    result: dict[str, Any] = {**{key: getattr(args, key) for key in ("models", "days", "size", "seed")}, "cells": {}}
    for name, stream, cell in measured(DETECTORS, args.models, args.days, args.seed):
        result["cells"][f"{name} {stream}"] = cell
        print(f"{name} on {stream}: {cell}", flush=True)
    result["uneven"] = {
        "calm": uneven(1, heavy=False), "night_2": uneven(2, heavy=False), "night_4": uneven(4, heavy=False),
        "heavy": uneven(1, heavy=True),
    }  # fmt: skip
    print(f"false alarms in 400 model-weeks of uneven noise: {result['uneven']}", flush=True)
    result["speed"] = {name: speed(name, args.size) for name in DETECTORS}
    print(tables(result))
    if args.write:
        write(result)
    print(json.dumps(result).replace("Infinity", "null"))


if __name__ == "__main__":
    main()
