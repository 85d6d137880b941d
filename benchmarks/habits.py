"""Requests of `strategy: auto` on signals with a habit that it must learn first: weekends, or a job at the same time.

    python -m benchmarks.habits [--seed N] [--models 40]

Latencies and other values have noise of 10 %, errors are 1 % of 500 requests, every five minutes for eight weeks. Two
days of seven have another level, or from the tenth day on a part of each day has. All signals begin on a Monday, or on
a Friday. The habit begins on the tenth day at the latest; requests are counted in the first 28 days (of a model), and
afterwards (of a model in a quarter), at most one in six hours.

--seed: of the noise; by default it is drawn, and printed. The last line is one JSON object.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from benchmarks.auto import Watch
from benchmarks.draws import models_and_seed
from bridge.domain.batch import EventKind
from bridge.domain.times import DAY, HOUR, MINUTE

Floats = NDArray[np.float64]
STEP = 5 * MINUTE
PER_DAY, DAYS, EARLY, BEGINS = DAY // STEP, 56, 28, 10
MONDAY = 1_699_833_600_000  # 13 November 2023, 00:00 UTC
REQUESTS, RATE, MOST = 500, 0.01, 0.5
SIGNALS = {"latency": EventKind.LATENCY, "value": EventKind.CUSTOM, "errors": EventKind.INFERENCE_ERROR}
samples = np.arange(DAYS * PER_DAY)


def weekend(factor: float, first: int) -> Floats:
    """Return the factors of a level that is another one on two days of seven, from day `first` on."""
    return np.where((samples // PER_DAY - first) % 7 < 2, factor, 1.0)


def job(factor: float, begin: float, end: float) -> Floats:
    """Return the factors of a level that is another one between two hours of each day, from the tenth day on."""
    hour = samples % PER_DAY * 24 / PER_DAY
    return np.where((samples >= BEGINS * PER_DAY) & (hour >= begin) & (hour < end), factor, 1.0)


HABITS = {
    "weekends 1.5 times as high, from Monday": weekend(1.5, 5),
    "weekends 3 times as high, from Monday": weekend(3.0, 5),
    "weekends 3 times as high, from Friday": weekend(3.0, 1),
    "weekends a third as high, from Monday": weekend(1 / 3, 5),
    "03:00 to 04:00, twice as high": job(2.0, 3, 4),
    "03:20 to 03:40, 20 times as high": job(20.0, 10 / 3, 11 / 3),
    "03:00 to 09:00, twice as high": job(2.0, 3, 9),
    "03:00 to 09:00, 20 times as high": job(20.0, 3, 9),
}


def columns(signal: str, course: Floats, models: int, draw: np.random.Generator) -> dict[str, Floats]:
    """Return the samples (n, models) of a signal with this course (n,)."""
    if signal == "errors":
        errors = draw.binomial(REQUESTS, np.minimum(RATE * course, MOST)[:, None].repeat(models, axis=1)).astype(float)
        return {"errors": errors, "total": np.full(errors.shape, float(REQUESTS))}
    noise = 0.1 * draw.standard_normal((len(course), models))
    return {"value": course[:, None] * np.exp(noise) if signal == "latency" else course[:, None] + noise}


def measure(event: EventKind, found: dict[str, Floats]) -> tuple[float, float]:
    """Return requests of a model in the first EARLY days, and later ones in a model-quarter."""
    models = next(iter(found.values())).shape[1]
    watch, last, counts = Watch(models, event), np.full(models, -DAY), np.zeros(2)
    for at in range(len(samples)):
        slot = MONDAY + at * STEP
        asks = watch.see(slot, {name: column[at] for name, column in found.items()}) & (slot - last >= 6 * HOUR)
        last[asks] = slot
        counts[int(at >= EARLY * PER_DAY)] += asks.sum()
    return float(counts[0]) / models, float(counts[1]) / models / (DAYS - EARLY) * 90


def main() -> None:
    """Print a line for each signal and habit, and the summary last."""
    models, seed = models_and_seed(__doc__)
    draw, result = np.random.default_rng(seed), dict[str, dict[str, float]]()
    for name, course in HABITS.items():
        for signal, event in SIGNALS.items():
            early, late = measure(event, columns(signal, course, models, draw))
            result[f"{signal}, {name}"] = {"early": round(early, 2), "late_per_quarter": round(late, 2)}
            print(f"{signal}, {name}: {early:.2f} requests in four weeks, {late:.2f} a quarter later", flush=True)
    print(json.dumps({"seed": seed, "models": models, "habits": result}))


if __name__ == "__main__":
    main()
