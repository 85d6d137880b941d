"""Comparison of `auto` with simple detectors over the kinds of a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.life.baselines import DETECTORS
from benchmarks.life.grammar import draw
from benchmarks.life.measure import Measured, measure, pooled, run
from benchmarks.life.signals import Signals, generate
from benchmarks.life.streams import SETTINGS, detect

Bools = NDArray[np.bool_]
SENSITIVITIES = ("low", "normal", "high")
PROMISED = {"low": 0.3, "normal": 1.0, "high": 6.0}  # false requests per model and quarter


@dataclass(slots=True)
class Seed:
    """Kinds of a seed with their signals, and results by detector and kind."""

    number: int
    parts: list[Signals]
    results: dict[str, list[Measured]] = field(default_factory=dict)


def drawn(seed: int, kinds: int, models: int) -> Seed:
    """Return the kinds of a seed with their signals."""
    return Seed(seed, [generate(kind, seed, models) for kind in draw(seed, kinds)])


def add_auto(seed: Seed, sensitivities: Iterable[str]) -> None:
    """Run `auto` with each sensitivity."""
    for sensitivity in sensitivities:
        breached = run(seed.parts, "auto", {"sensitivity": sensitivity})
        seed.results[f"auto {sensitivity}"] = [
            measure(part, each) for part, each in zip(seed.parts, breached, strict=True)
        ]


def add_simple(seed: Seed, limits: dict[str, float] | None, rate: float) -> dict[str, float]:
    """Run the simple detectors with their limits, or with those that keep the pooled false requests at `rate`."""
    chosen: dict[str, float] = {}
    for name, statistic in DETECTORS.items():
        columns = [statistic(part) for part in seed.parts]
        chosen[name] = limits[name] if limits is not None else limit_at(seed, columns, rate)
        seed.results[name] = results(seed, columns, chosen[name])
    return chosen


def results(seed: Seed, columns: list[NDArray[np.float64]], limit: float) -> list[Measured]:
    """Return the result of alarms above a limit, by kind."""
    return [measure(part, column > limit) for part, column in zip(seed.parts, columns, strict=True)]


def limit_at(seed: Seed, columns: list[NDArray[np.float64]], rate: float) -> float:
    """Return the lowest limit, within a thousandth, at which false requests stay at or below `rate`."""
    low, high = 0.0, 1e4
    while high / max(low, 0.5) > 1.01:
        middle = float(np.sqrt(max(low, 0.5) * high))
        if pooled(results(seed, columns, middle)).rate <= rate:
            high = middle
        else:
            low = middle
    return high


def add_streams(seed: Seed, settings: dict[str, float] | None, rate: float, models: int) -> dict[str, float]:
    """Run the detectors of river over some models of each kind, with their settings, or those nearest to `rate`."""
    few = [_first(part, models) for part in seed.parts]

    def results(make: Callable[[float], object], setting: float) -> list[Measured]:
        return [measure(part, detect(part, make, setting, models)) for part in few]

    chosen: dict[str, float] = {}
    for name, (make, choices) in SETTINGS.items():
        for setting in choices if settings is None else (settings[name],):
            chosen[name], seed.results[name] = setting, results(make, setting)
            if pooled(seed.results[name]).rate <= rate:
                break
    return chosen


def _first(part: Signals, models: int) -> Signals:
    columns = [None if column is None else column[:, :models] for column in (part.values, part.errors, part.total)]
    windows = [window for window in part.windows if window.model < models]
    return Signals(part.kind, *columns, windows, part.admissible)
