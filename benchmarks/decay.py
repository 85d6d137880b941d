"""Benchmark of `decay`: coverage of its intervals, breaches of stationary and of falling series, time.

    python -m benchmarks.decay [--models 20000] [--seed 1]

Noise is AR(1) from one mean of a cell to the next, with standard deviation 1. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import HOUR
from bridge.domain.verdict import Code
from bridge.strategies.base import RetrainStrategy, StateColumn
from bridge.strategies.decay import CELLS
from bridge.strategies.registry import build
from bridge.strategies.stats.trend import fit, student

Floats = NDArray[np.float64]
START = 1_700_006_400_000
LEAD = 24  # cells that a retraining takes


def noise(rng: np.random.Generator, models: int, length: int, phi: float) -> Floats:
    """Return noise (models, length) with standard deviation 1 and lag-1 autocorrelation phi."""
    z = rng.normal(size=(models, length))
    for cell in range(1, length):
        z[:, cell] = phi * z[:, cell - 1] + np.sqrt(1 - phi**2) * z[:, cell]
    return z


def coverage(rng: np.random.Generator, models: int, cells: int, phi: float) -> float:
    """Return the share of 90 % intervals that cover the true crossing, half a window ahead."""
    x, ahead = np.arange(cells) - cells + 0.5, cells / 2
    y = noise(rng, models, cells, phi) + 0.1 * x
    lines = fit(x, y, np.ones(y.shape, np.bool_), student(0.95, CELLS))
    height = lines.level + lines.slope * ahead
    return float((np.abs(0.1 * ahead - height) <= lines.margin(ahead)).mean())


def see(strategy: RetrainStrategy, state: StateColumn | None, hour: int, values: Floats) -> NDArray[np.bool_]:
    """Evaluate one sample of every model; return who is breached."""
    index = np.arange(len(values), dtype=np.int32)
    batch = EventBatch("accuracy", EventKind.CUSTOM, START + hour * HOUR, ModelTable(), index, {"value": values})
    return strategy.analyse_batch(batch, state).code == Code.BREACHED


def first_breaches(series: Floats, limit: float) -> Floats:
    """Return hours (models,) to the first breach; infinite without one."""
    spec = {"max": limit, "lead_time": f"{LEAD}h", "window": f"{CELLS}h"}
    strategy = build(StrategySpec("decay", spec))
    state, found = strategy.new_state(len(series)), np.full(len(series), np.inf)
    for hour in range(series.shape[1]):
        hit = see(strategy, state, hour, series[:, hour])
        found[hit & np.isinf(found)] = hour
    return found


def tick_ms(models: int) -> dict[str, float]:
    """Return medians of ticks in which every line is refitted, in which none is, and of one `np.add`."""
    rng = np.random.default_rng(3)
    strategy = build(StrategySpec("decay", {"max": 9.0, "lead_time": "1d", "window": f"{2 * CELLS}h"}))
    state = strategy.new_state(models)
    taken: tuple[list[float], ...] = ([], [], [])
    for hour in range(96):
        values = rng.normal(size=models)
        began = time.perf_counter()
        see(strategy, state, hour, values)
        taken[hour % 2].append(time.perf_counter() - began)
        began = time.perf_counter()
        np.add(values, values)
        taken[2].append(time.perf_counter() - began)
    fitted, between, adding = (round(1000 * float(np.median(times[-10:])), 3) for times in taken)
    assert strategy.state_dtype is not None
    return {"fitted": fitted, "between": between, "np_add": adding, "bytes": strategy.state_dtype.itemsize}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng, few = np.random.default_rng(args.seed), max(1, args.models // 20)
    print(f"seed {args.seed}, {args.models} models, {few} in the stories")
    found: dict[str, Any] = {"seed": args.seed, "models": args.models}
    for phi in (0.0, 0.5, 0.9):
        for cells in (16, 32, 63):
            found[f"covered_{cells}_cells_phi_{phi}"] = round(coverage(rng, args.models, cells, phi), 3)
        for sigmas in (3.0, 5.0):
            ever = np.isfinite(first_breaches(noise(rng, few, 20 * CELLS, phi), sigmas))
            found[f"level_{sigmas:g}_sigmas_off_phi_{phi}"] = round(float(ever.mean()), 3)
        fall = np.maximum(np.arange(400.0) - 100, 0) * 0.1  # at the limit after 200 hours
        text = 200 - first_breaches(noise(rng, few, 400, phi) + fall, 10.0)
        quantiles = np.quantile(text, (0.1, 0.5, 0.9), method="lower").tolist()
        found[f"hours_before_crossing_phi_{phi}"] = [round(hours, 1) for hours in quantiles]
    found["ms"] = tick_ms(args.models * 5)
    for label, value in found.items():
        print(f"{label}: {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
