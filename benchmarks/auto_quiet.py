"""False requests of `strategy: auto` on signals without changes, beyond the waves and AR noise of `benchmarks.auto`.

    python -m benchmarks.auto_quiet [--models 200] [--days 90]

A number every five minutes, generated; nothing happens in any of them. A request is the beginning of an alarm at least
six hours after the last one. The last line is one JSON object: requests per model and quarter.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.auto import START, Watch
from bridge.domain.batch import EventKind
from bridge.domain.times import DAY, HOUR, MINUTE

Floats = NDArray[np.float64]
Draw = np.random.Generator
Numbers = Callable[[Draw, int, Floats], Floats]
"""Function of a generator, a slot and a memory (models,), updated in place, that returns the values (models,)."""


def wave(slot: int) -> float:
    """Return the daily wave, from -1 to 1."""
    return math.sin(2 * math.pi * (slot % DAY) / DAY)


def wandering(draw: Draw, _: int, memory: Floats) -> Floats:
    """Return a level of AR(1) 0.9995 (a week) beneath noise an eighth as large."""
    memory += -0.0005 * memory + 0.005 * draw.standard_normal(len(memory))
    return memory + 0.02 * draw.standard_normal(len(memory))


def correlated(phi: float) -> Numbers:
    """Return latencies with a daily wave of 0.3 and AR(1) noise of 0.1, both in the logarithm."""

    def numbers(draw: Draw, slot: int, memory: Floats) -> Floats:
        memory += (phi - 1) * memory + math.sqrt(1 - phi**2) * draw.standard_normal(len(memory))
        return np.asarray(np.exp(-1.6 + 0.3 * wave(slot) + 0.1 * memory))

    return numbers


def job(draw: Draw, slot: int, memory: Floats) -> Floats:
    """Return latencies that rise by two thirds for half an hour every night, between 02:00 and 03:30."""
    if slot % DAY == 0:
        memory[:] = draw.integers(2 * HOUR, 3 * HOUR, len(memory))
    at_work = (slot % DAY >= memory) & (slot % DAY < memory + HOUR / 2)
    return np.asarray(np.exp(-1.6 + 0.2 * wave(slot) + 0.08 * draw.standard_normal(len(memory)) + 0.5 * at_work))


def heavy(freedom: int) -> Numbers:
    """Return latencies with independent noise of Student's t in the logarithm, and a daily wave."""
    return lambda draw, slot, memory: np.asarray(
        np.exp(-1.6 + 0.3 * wave(slot) + 0.08 * draw.standard_t(freedom, len(memory)))
    )


def gaps(draw: Draw, slot: int, memory: Floats) -> Floats:
    """Return latencies of which three in ten are missing."""
    numbers = np.exp(-1.6 + 0.3 * wave(slot) + 0.1 * draw.standard_normal(len(memory)))
    numbers[draw.random(len(memory)) < 0.3] = np.nan
    return np.asarray(numbers)


SIGNALS: dict[str, tuple[EventKind, Numbers]] = {
    "accuracy on 500, daily wave": (
        EventKind.CUSTOM, lambda draw, slot, memory: draw.binomial(500, 0.92 + 0.02 * wave(slot), len(memory)) / 500
    ),
    "error rate of 0.2 % of 50, a number": (
        EventKind.INFERENCE_ERROR, lambda draw, _, memory: draw.binomial(50, 0.002, len(memory)) / 50
    ),
    "counts of 0.3": (
        EventKind.CUSTOM, lambda draw, _, memory: draw.poisson(0.3, len(memory)).astype(np.float64)
    ),
    "drift score, chi-square of 9": (
        EventKind.DRIFT, lambda draw, _, memory: draw.chisquare(9, len(memory)) / 900
    ),
    "p95 of 40 latencies": (
        EventKind.LATENCY,
        lambda draw, _, memory: np.quantile(draw.lognormal(-1.6, 0.6, (40, len(memory))), 0.95, axis=0),
    ),
    "a job every night": (EventKind.LATENCY, job),
    "three in ten missing": (EventKind.LATENCY, gaps),
    "AR(1) 0.99": (EventKind.LATENCY, correlated(0.99)),
    "wandering level, both ways": (EventKind.CUSTOM, wandering),
    "Student's t, 5 degrees": (EventKind.LATENCY, heavy(5)),
    "Student's t, 3 degrees": (EventKind.LATENCY, heavy(3)),
}  # fmt: skip


def quiet(event: EventKind, numbers: Numbers, models: int, days: int, seed: int) -> float:
    """Return requests per model and quarter."""
    draw, watch, memory = np.random.default_rng(seed), Watch(models, event), np.zeros(models)
    last, count = np.full(models, -DAY), 0
    for slot in range(START, START + days * DAY, 5 * MINUTE):
        asks = watch.see(slot, {"value": numbers(draw, slot, memory)}) & (slot - last >= 6 * HOUR)
        last[asks] = slot
        count += int(asks.sum())
    return count / models / days * 90


def main() -> None:
    """Print a line for each signal, and the summary last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    result = {}
    for name, (event, numbers) in SIGNALS.items():
        result[name] = round(quiet(event, numbers, options.models, options.days, options.seed), 2)
        print(f"{name}: {result[name]} a quarter", flush=True)
    print(json.dumps({"quiet": result}))


if __name__ == "__main__":
    main()
