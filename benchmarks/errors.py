"""Benchmark of burn_rate and error_e_process: false alarms, delays, and time per tick.

    python -m benchmarks.errors [--models 100000] [--looks 500] [--each 20] [--seed 1]

Models draw their errors independently; every look is one sample of `--each` requests. The strategies themselves judge,
as in the engine, over columns of all models. Delays are in requests. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import MINUTE
from bridge.domain.verdict import Code
from bridge.strategies.registry import build

START, STEP = 1_700_000_100_000, 5 * MINUTE
Floats = NDArray[np.float64]
Draw = Callable[[int], Floats]


def batch(slot: int, errors: Floats, total: Floats) -> EventBatch:
    """Return a batch with one sample per model; the table stays empty, as strategies do not read it."""
    index = np.arange(len(errors), dtype=np.int32)
    columns = {"errors": errors, "total": total}
    return EventBatch("failures", EventKind.INFERENCE_ERROR, slot, ModelTable(), index, columns)


def first_alarms(name: str, params: dict[str, Any], draw: Draw, each: float, looks: int, models: int) -> Floats:
    """Return requests (models,) seen at the first alarm; infinite without one. A model that fired is dropped."""
    strategy = build(StrategySpec(name, params))
    state = strategy.new_state(models)
    assert state is not None
    waiting, found = np.arange(models), np.full(models, np.inf)
    for look in range(looks):
        errors = draw(len(waiting))
        one = batch(START + look * STEP, errors, np.full(len(waiting), each))
        fired = strategy.analyse_batch(one, state).code == Code.BREACHED
        found[waiting[fired]] = each * (look + 1)
        waiting, state = waiting[~fired], state[~fired]
    return found


def bursts(rng: np.random.Generator, each: int, p: float, correlation: float) -> Draw:
    """Return beta-binomial errors, with this correlation between two requests of one sample."""
    size = (1 - correlation) / correlation
    return lambda models: rng.binomial(each, rng.beta(p * size, (1 - p) * size, models)).astype(float)


def independent(rng: np.random.Generator, each: int, p: float, factor: float = 1.0) -> Draw:
    """Return independent errors; factor: overestimate of `increase`."""
    return lambda models: rng.binomial(each, p, models) * factor


def changing(rng: np.random.Generator, each: int, before: float, after: float, looks: int) -> Draw:
    """Return errors at one rate for a number of evaluations, then at another."""
    past = iter(range(looks))
    return lambda models: rng.binomial(each, before if next(past, None) is not None else after, models).astype(float)


def burn_rates(rng: np.random.Generator, models: int) -> dict[str, Any]:
    """Return the share of models that alarm in 30 days (a sample in 5m), and hours to an alarm after a change."""
    found: dict[str, Any] = {}
    month, week = 30 * 288, 7 * 288
    for each in (20, 1000):
        for burn in (0.5, 0.9, 1.0):
            for confidence in (0.5, 0.95):
                params = {"slo": 0.99, "confidence": confidence}
                draw = independent(rng, each, 0.01 * burn)
                alarms = first_alarms("burn_rate", params, draw, each, month, models)
                found[f"burn_{burn}_of_{each}_at_{confidence}"] = float(np.isfinite(alarms).mean())
        for burn in (2, 10, 50):
            draw = changing(rng, each, 0.001, 0.01 * burn, week)
            alarms = first_alarms("burn_rate", {"slo": 0.99}, draw, each, week + 5 * 288, models)
            hours = (alarms / each - week) / 12
            found[f"burn_hours_to_{burn}x_of_{each}"] = [
                round(float(np.quantile(hours, q, method="lower")), 2) for q in (0.5, 0.9)
            ]
    return found


def tick_ms(name: str, params: dict[str, Any], models: int) -> dict[str, float]:
    """Return medians over 20 ticks in which every model's sample is counted, and of one `np.add` over the column."""
    rng = np.random.default_rng(3)
    strategy = build(StrategySpec(name, params))
    state = strategy.new_state(models)
    total, errors = np.full(models, 1000.0), rng.binomial(1000, 0.01, models).astype(float)
    counted, between, adding = [], [], []
    for look in range(20):
        for slot, times in ((START + look * STEP, counted), (START + look * STEP + MINUTE, between)):
            began = time.perf_counter()
            strategy.analyse_batch(batch(slot, errors, total), state)
            times.append(time.perf_counter() - began)
        began = time.perf_counter()
        np.add(errors, total)
        adding.append(time.perf_counter() - began)
    medians = {"counted": counted, "between": between, "np_add": adding}
    found = {what: round(1000 * float(np.median(times)), 3) for what, times in medians.items()}
    return found | {"bytes": 0 if strategy.state_dtype is None else strategy.state_dtype.itemsize}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--looks", type=int, default=500)
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.models} models, {args.looks} looks of {args.each} requests")
    rng = np.random.default_rng(args.seed)
    found: dict[str, Any] = {"seed": args.seed, "models": args.models, "looks": args.looks, "each": args.each}

    run = {"p0": 0.01, "restart": f"{5 * args.looks}m"}

    def share(label: str, params: dict[str, Any], draw: Draw, each: float, models: int = args.models) -> None:
        alarms = first_alarms("error_e_process", run | params, draw, each, args.looks, models)
        found[label] = float(np.isfinite(alarms).mean())
        print(f"{label}: {found[label]:.5f}")

    few = args.models // 10
    share("false_at_p0", {}, independent(rng, args.each, 0.01), args.each)
    share("false_at_half_p0", {}, independent(rng, args.each, 0.005), args.each, few)
    share("false_at_p0_alpha_10pct", {"alpha": 0.1}, independent(rng, args.each, 0.01), args.each, few)
    share("false_extrapolated", {}, independent(rng, 20_000, 0.01, 1.05), 21_000.0, few)
    for correlation in (0.001, 0.01, 0.1):
        label = f"alarms_in_bursts_{correlation}"
        share(label, {}, bursts(rng, args.each, 0.01, correlation), args.each, few)
    for times in (1.5, 2, 3, 5):
        draw = independent(rng, args.each, 0.01 * times)
        alarms = first_alarms("error_e_process", run, draw, args.each, args.looks, few)
        found[f"requests_at_{times}x"] = [float(np.quantile(alarms, q, method="lower")) for q in (0.5, 0.9)]
        print(f"requests_at_{times}x: median and p90 {found[f'requests_at_{times}x']}")
    for label, value in burn_rates(rng, max(1, args.models // 500)).items():
        found[label] = value
        print(f"{label}: {value}")
    for name, params in (("error_e_process", {"p0": 0.01}), ("burn_rate", {"slo": 0.99})):
        found[f"ms_{name}"] = tick_ms(name, params, args.models)
        print(f"{name}: {found[f'ms_{name}']}")
    print(json.dumps(found).replace("Infinity", "null"))


if __name__ == "__main__":
    main()
