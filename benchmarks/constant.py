"""Requests of `strategy: auto` on signals that are constant for a time: latencies, and errors of 500 requests.

    python -m benchmarks.constant [--seed N] [--models 40]

Each model is observed for 40 days, with a value every five minutes; then, for three hours, its latency doubles, or its
error rate is three times that of before, at most 30 %. Three numbers are counted for each signal: requests of a model
in the four days after it first varies, requests in a model-quarter after these days, and models whose change is
detected, until ten minutes after its end.

--seed: of the signals; by default it is drawn, and printed. The last line is one JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.auto import START, Watch
from benchmarks.draws import models_and_seed
from bridge.domain.batch import EventKind
from bridge.domain.times import MINUTE

Floats = NDArray[np.float64]
PER_DAY = 288  # samples
DAYS, SETTLED, CHANGE, LATE = 40, 4, 36, 2  # days, and samples
USUAL = 0.2  # seconds
REQUESTS, RATE = 500, 0.01  # in five minutes, and share of errors
samples = np.arange(DAYS * PER_DAY + CHANGE + LATE)[:, None]


def varies_after(days: float, before: float = 0.0) -> Callable[[Floats], Floats]:
    """Return noise of 10 % that begins after `days`; before, it is that of `before`."""
    return lambda noise: USUAL * np.exp(np.where(samples < days * PER_DAY, before, 0.1) * noise)


def idle(hours: int, every: int) -> Callable[[Floats], Floats]:
    """Return noise of 10 %, and a constant value in the first `hours` of `every` ones."""
    return lambda noise: USUAL * np.exp(np.where(samples // 12 % every < hours, 0.0, 0.1) * noise)


def steps(noise: Floats) -> Floats:
    """Return a constant value that doubles for good after ten days."""
    return np.where(samples < 10 * PER_DAY + 77, USUAL, 2 * USUAL) + 0 * noise


SIGNALS: dict[str, tuple[float, Callable[[Floats], Floats]]] = {  # day of the first variation, and values
    "never constant": (0, varies_after(0)),
    "constant for 9 hours": (0.375, varies_after(0.375)),
    "constant for a day": (1, varies_after(1)),
    "constant for 2 days": (2, varies_after(2)),
    "constant for 8 days": (8, varies_after(8)),
    "noise of 0.01 % for 8 days": (8, varies_after(8, 1e-4)),
    "noise of 1 % for 8 days": (8, varies_after(8, 1e-2)),
    "constant at night": (0.5, idle(12, 24)),
    "constant on weekends": (2, idle(48, 168)),
    "constant but for an hour a day": (1, idle(23, 24)),
    "constant, doubles for good": (10, steps),
}


ERRORS: dict[str, tuple[float, Floats]] = {  # day of the first change, and error rates (n, 1)
    "1 % errors": (0, np.full(samples.shape, RATE)),
    "no errors for a day": (1, np.where(samples < PER_DAY, 0.0, RATE)),
    "no errors for 8 days": (8, np.where(samples < 8 * PER_DAY, 0.0, RATE)),
    "only errors for 8 days": (8, np.where(samples < 8 * PER_DAY, 1.0, RATE)),
    "no errors at night": (0.5, np.where(samples // 12 % 24 < 12, 0.0, RATE)),
    "no errors on weekends": (2, np.where(samples // PER_DAY % 7 < 2, 0.0, RATE)),
    "0.25 % errors on weekends": (2, np.where(samples // PER_DAY % 7 < 2, RATE / 4, RATE)),
    "20 % errors, 5 % on weekends": (2, np.where(samples // PER_DAY % 7 < 2, 0.05, 0.2)),
}


def measure(varies: float, event: EventKind, columns: dict[str, Floats]) -> tuple[float, float, int]:
    """Return early requests of a model, later ones in a model-quarter, and detected models, of columns (n, models)."""
    models = next(iter(columns.values())).shape[1]
    watch = Watch(models, event)
    asks = np.stack([
        watch.see(START + at * 5 * MINUTE, {name: column[at] for name, column in columns.items()})
        for at in range(len(samples))
    ])  # fmt: skip
    settled, end = round((varies + SETTLED) * PER_DAY), DAYS * PER_DAY
    quarters = models * (end - settled) / PER_DAY / 90
    return (
        float(asks[:settled].sum()) / models,
        float(asks[settled:end].sum()) / quarters,
        int(asks[end:].any(axis=0).sum()),
    )


def main() -> None:
    """Print a line for each signal, and the summary last."""
    models, seed = models_and_seed(__doc__)
    draw, result = np.random.default_rng(seed), {}
    noise = draw.standard_normal((len(samples), models))
    changed = slice(DAYS * PER_DAY, DAYS * PER_DAY + CHANGE)

    def add(name: str, varies: float, event: EventKind, columns: dict[str, Floats]) -> None:
        early, late, detected = measure(varies, event, columns)
        result[name] = {"early": round(early, 2), "late_per_quarter": round(late, 2), "detected": detected}
        print(f"{name}: {early:.2f} requests at first, {late:.2f} a quarter later, {detected} of {models} detected",
              flush=True)  # fmt: skip

    for name, (varies, signal) in SIGNALS.items():
        values = signal(noise)
        values[changed] *= 2
        add(name, varies, EventKind.LATENCY, {"value": values})
    for name, (varies, course) in ERRORS.items():
        rates = course.repeat(models, axis=1)
        rates[changed] = min(3 * rates[DAYS * PER_DAY - 1, 0], 0.3)
        errors = draw.binomial(REQUESTS, rates).astype(float)
        add(
            name, varies, EventKind.INFERENCE_ERROR, {"errors": errors, "total": np.full(errors.shape, float(REQUESTS))}
        )
    print(json.dumps({"seed": seed, "models": models, "constant": result}))


if __name__ == "__main__":
    main()
