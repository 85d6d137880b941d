"""Requests of `strategy: auto` on slow changes: rises over days, which stay small compared with the noise.

    python -m benchmarks.gradual [--seed N] [--models 40]

Each model is observed for 17 days, with a value every five minutes; then its signal rises for five or ten days, and
stays there for a day. A request is the beginning of an alarm, at least six hours after the last one; it is false before
the rise, and detects it afterwards.

--seed: of the signals; by default it is drawn, and printed. The last line is one JSON object.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.auto import START, Watch
from benchmarks.draws import ar1, models_and_seed
from bridge.domain.batch import EventKind
from bridge.domain.times import HOUR, MINUTE

Floats = NDArray[np.float64]
PER_DAY = 288  # samples
BEFORE, AFTER = 17 * PER_DAY, PER_DAY  # samples
RISES = [(0.2, 5), (0.5, 5), (0.2, 10), (0.5, 10)]  # of the level, and days
REQUESTS = 50  # in a window


class Draw:
    """Random numbers (n, models) of one signal, and its rise: 0 before, then up to the logarithm of 1 + size."""

    def __init__(self, seed: int, number: int, size: float, days: int, models: int) -> None:
        self.rng = np.random.default_rng([seed, number])
        course = np.concatenate([np.zeros(BEFORE), np.linspace(0, 1, days * PER_DAY), np.ones(AFTER)])
        self.rise, self.shape = math.log1p(size) * course[:, None], (len(course), models)
        self.days = np.arange(len(course))[:, None] / PER_DAY

    def noise(self, phi: float) -> Floats:
        """Return AR(1) noise of unit variance."""
        return ar1(self.rng, self.shape, phi)

    def heavy(self) -> Floats:
        """Return Student's t noise of unit variance, with three degrees of freedom."""
        return self.rng.standard_t(3, self.shape) / math.sqrt(3)

    def daily(self) -> Floats:
        """Return a daily wave, from -1 to 1."""
        return np.asarray(np.sin(2 * np.pi * self.days))

    def weekend(self) -> Floats:
        """Return 1 on Saturdays and Sundays."""
        return ((self.days.astype(np.int64) + 2) % 7 >= 5).astype(np.float64)

    def walk(self) -> Floats:
        """Return a random walk whose standard deviation after a day is 1."""
        return np.cumsum(self.rng.standard_normal(self.shape), axis=0) / math.sqrt(PER_DAY)


Signal = Callable[[Draw], dict[str, Floats]]


def latency(log: Callable[[Draw], Floats]) -> Signal:
    """Return a latency in seconds, given what is added to its logarithm."""
    return lambda draw: {"value": 0.2 * np.exp(log(draw) + draw.rise)}


def errors(of: Callable[[Draw], Floats]) -> Signal:
    """Return errors and requests, given what is added to the logarithm of an error rate of 2 %."""

    def columns(draw: Draw) -> dict[str, Floats]:
        rate = np.broadcast_to(0.02 * np.exp(of(draw) + draw.rise), draw.shape)
        return {
            "errors": draw.rng.binomial(REQUESTS, rate).astype(float),
            "total": np.full(draw.shape, float(REQUESTS)),
        }

    return columns


SIGNALS: dict[str, tuple[EventKind, Signal]] = {
    "latency, noise 0.2": (EventKind.LATENCY, latency(lambda draw: 0.2 * draw.noise(0.0))),
    "latency, noise 0.2, AR 0.9": (EventKind.LATENCY, latency(lambda draw: 0.2 * draw.noise(0.9))),
    "latency, noise 0.2, Student's t": (EventKind.LATENCY, latency(lambda draw: 0.2 * draw.heavy())),
    "latency, daily wave": (EventKind.LATENCY, latency(lambda draw: 0.2 * draw.noise(0.5) + 0.3 * draw.daily())),
    "latency, lower on weekends": (
        EventKind.LATENCY, latency(lambda draw: 0.2 * draw.noise(0.5) + 0.3 * draw.daily() - 0.3 * draw.weekend())
    ),
    "latency, random walk": (EventKind.LATENCY, latency(lambda draw: 0.2 * draw.noise(0.0) + 0.1 * draw.walk())),
    "drift score": (EventKind.DRIFT, lambda draw: {"value": expit(-1 + 0.4 * draw.noise(0.5) + draw.rise)}),
    "error rate of 2 %": (EventKind.INFERENCE_ERROR, errors(lambda draw: 0 * draw.days)),
    "error rate of 2 %, daily wave": (EventKind.INFERENCE_ERROR, errors(lambda draw: 0.4 * draw.daily())),
}  # fmt: skip


def measure(event: EventKind, columns: dict[str, Floats]) -> tuple[int, list[float]]:
    """Return the number of false requests, and days from the beginning of the rise to each detection."""
    length, models = next(iter(columns.values())).shape
    watch, last = Watch(models, event), np.full(models, -PER_DAY)
    false, found = 0, np.full(models, np.nan)
    for at in range(length):
        slot = START + at * 5 * MINUTE
        asks = watch.see(slot, {name: column[at] for name, column in columns.items()})
        asks &= at - last >= 6 * HOUR // (5 * MINUTE)
        last[asks] = at
        if at < BEFORE:
            false += int(asks.sum())
        else:
            found[asks & np.isnan(found)] = (at - BEFORE) / PER_DAY
    return false, found[~np.isnan(found)].tolist()


def main() -> None:
    """Print a line for each signal and rise, and the summary last."""
    models, seed = models_and_seed(__doc__)
    result: dict[str, object] = {}
    total = 0
    for number, (name, (event, signal)) in enumerate(SIGNALS.items()):
        for size, days in RISES:
            draw = Draw(seed, 10 * number + RISES.index((size, days)), size, days, models)
            false, delays = measure(event, signal(draw))
            total += false
            middle = float(np.median(delays)) if delays else None
            shown = "-" if middle is None else f"{middle:.1f} days"
            result[f"{name}, +{size:.0%} over {days} days"] = [false, len(delays), middle]
            print(
                f"{name}, +{size:.0%} over {days} days: {len(delays)} of {models} detected, median {shown}; "
                f"{false} false requests before", flush=True,
            )  # fmt: skip
    quarters = len(result) * models * BEFORE / PER_DAY / 90
    summary = {"seed": seed, "models": models, "false_per_quarter": round(total / quarters, 3)}
    print(json.dumps({**summary, "gradual": result}))


if __name__ == "__main__":
    main()
