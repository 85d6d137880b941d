"""Requests of `strategy: auto` on correlated noise, which stays high or low for hours.

    python -m benchmarks.correlated [--seed N] [--models 40]

Each model is observed for 42 days, with a value every five minutes: AR(1) noise whose correlation falls to 1 / e within
the stated hours. From day 16 on, every fourth day has a rise, in standard deviations of the noise: by 2 for a day, by 4
for six hours, or by 3 for an hour. A request is the beginning of an alarm, at least six hours after the last one. It
detects a rise if it begins during the rise, or half an hour later; on the day after a rise, requests do not count; all
others are false.

--seed: of the signals; by default it is drawn, and printed. The last line is one JSON object.
"""

from __future__ import annotations

import json
import math
from typing import NamedTuple

import numpy as np

from benchmarks.auto import START, Watch
from benchmarks.draws import ar1, models_and_seed
from bridge.domain.batch import EventKind
from bridge.domain.times import HOUR, MINUTE

STEP = 5 * MINUTE
PER_DAY, PER_HOUR = 288, 12  # samples
DAYS, QUARTER = 42, 90
RISES = [(2.0, 24), (4.0, 6), (3.0, 1)]  # standard deviations, and hours
MEMORIES = [0.4, 1, 2, 6, 12, 24, 48]  # hours


class Count(NamedTuple):
    """Requests on one signal. quarters: observed without rises, of all models. planted: rises."""

    false: int
    quarters: float
    detected: int
    planted: int


def measure(memory: float, seed: int, models: int, *, both: bool) -> Count:
    """Count requests on noise with this memory, in hours. both: of values that may rise and fall, not of latencies."""
    rng = np.random.default_rng([seed, int(memory * 10), both])
    noise = ar1(rng, (DAYS * PER_DAY, models), math.exp(-1 / PER_HOUR / memory))
    starts = np.arange(16, DAYS, 4) * PER_DAY + rng.integers(0, PER_DAY, (DAYS - 13) // 4)
    ends = starts + [RISES[number % 3][1] * PER_HOUR for number in range(len(starts))]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        noise[start:end] += RISES[number % 3][0]
    values = 10 + noise if both else 0.2 * np.exp(0.2 * noise)
    watch, last = Watch(models, EventKind.CUSTOM if both else EventKind.LATENCY), np.full(models, -PER_DAY)
    detected, false = np.zeros((models, len(starts)), np.bool_), 0
    for at, row in enumerate(values):
        asks = watch.see(START + at * STEP, {"value": row}) & (at - last >= 6 * HOUR // STEP)
        last[asks] = at
        detected |= asks[:, None] & (starts <= at) & (at < ends + PER_HOUR // 2)
        if not ((starts <= at) & (at < ends + PER_DAY)).any():
            false += int(asks.sum())
    quiet = DAYS * PER_DAY - int((ends + PER_DAY - starts).sum())
    return Count(false, quiet * models / PER_DAY / QUARTER, int(detected.sum()), detected.size)


def main() -> None:
    """Print a line for each signal, and the summary last."""
    models, seed = models_and_seed(__doc__)
    result: dict[str, dict[str, float]] = {}
    for both in (False, True):
        for memory in MEMORIES:
            name = f"{'values' if both else 'latencies'}, {memory:g} h"
            count = measure(memory, seed, models, both=both)
            result[name] = {"false_per_quarter": round(count.false / count.quarters, 2), **count._asdict()}
            print(f"{name}: {result[name]['false_per_quarter']} false, {count.detected} of {count.planted}", flush=True)
    print(json.dumps({"seed": seed, "models": models, "correlated": result}))


if __name__ == "__main__":
    main()
