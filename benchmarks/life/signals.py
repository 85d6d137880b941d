"""Signals of a kind: what a Prometheus would return for its models, slot by slot, and where changes were planted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.life.grammar import Change, Counts, Kind, Life, Moment, Noise, Observable, Shape
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.times import DAY, MINUTE, Timestamp

Floats = NDArray[np.float64]
START: Timestamp = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC
PER_DAY = DAY // MINUTE
SLOT = 5  # minutes between two slots
WINDOW = 10  # minutes of an increase
LOOKBACK = 5  # minutes after which a sample is stale, as in Prometheus
SHORTEST = 21  # days: a week before a change, and room for two of the longest
EVENTS = {
    Observable.LATENCY: EventKind.LATENCY, Observable.SCORE: EventKind.DRIFT,
    Observable.ERRORS: EventKind.INFERENCE_ERROR, Observable.VALUE: EventKind.CUSTOM,
}  # fmt: skip
LARGER = 3.0  # factor between a planted change and the larger one before it


@dataclass(frozen=True, slots=True)
class Window:
    """Planted change of one model, in minutes since START; counts: False for the larger one that only precedes it."""

    model: int
    start: int
    end: int
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Signals:
    """Signals of k models over n slots.

    values: (n, k), NaN where there is no sample; None for errors.
    errors, total: (n, k), increases over WINDOW; None otherwise.
    windows: planted changes. admissible: requests beside them, for each model.
    """

    kind: Kind
    values: Floats | None
    errors: Floats | None
    total: Floats | None
    windows: list[Window]
    admissible: int

    def batches(self, table: ModelTable) -> Iterator[EventBatch]:
        """Yield one batch for each slot; rows of `table` are 0 to k - 1."""
        columns = {"value": self.values} if self.values is not None else {"errors": self.errors, "total": self.total}
        shown = {name: column for name, column in columns.items() if column is not None}
        first = next(iter(shown.values()))
        event = EVENTS[self.kind.observable]
        for row in range(len(first)):
            present = ~np.isnan(first[row])
            index = np.flatnonzero(present).astype(np.int32)
            slot = START + (row + 1) * SLOT * MINUTE
            parts = {name: column[row][present] for name, column in shown.items()}
            unit = 1000.0 if event is EventKind.LATENCY else 1.0
            yield EventBatch(self.kind.observable.value, event, slot, table, index, parts, unit_ms=unit)


@dataclass(frozen=True, slots=True)
class Incidents:
    """Course of k models over m minutes: alive and effect, both (m, k), and the planted windows.

    alive: when each model reports. effect: 0 without a change, 1 at its full size.
    """

    alive: NDArray[np.bool_]
    effect: Floats
    windows: list[Window]


def incidents(kind: Kind, rng: np.random.Generator, models: int, days: int) -> Incidents:
    """Return the lives of `models` models and their planted changes."""
    alive = _alive(rng, kind, days * PER_DAY, models)
    return Incidents(alive, *_effects(rng, kind.change, alive))


def generate(kind: Kind, seed: int, models: int = 50, days: int = 28, shared: Incidents | None = None) -> Signals:
    """Return the signals of `models` models of a kind over `days` days. Raises ValueError below SHORTEST days.

    shared: incidents of these models that are given; by default they are drawn.
    """
    if days < SHORTEST:
        raise ValueError(f"days must be at least {SHORTEST}: later changes come after a week")
    rng = np.random.default_rng([seed, kind.number])
    minutes = days * PER_DAY
    own = shared or incidents(kind, rng, models, days)
    alive, effect, windows = own.alive, own.effect, own.windows
    season = _season(rng, kind, minutes)[:, None]
    level = season + _life(rng, kind, minutes, models)
    if kind.observable is Observable.ERRORS:
        errors, total = _counts(rng, kind, level, kind.season.of_noise * season, effect, alive)
        return Signals(kind, None, errors, total, windows, kind.admissible)
    values = _values(rng, kind, level, effect)
    values[~alive] = np.nan
    return Signals(kind, _sampled(rng, kind, values), None, None, windows, kind.admissible)


# ---------------------------------------------------------------- level


def _season(rng: np.random.Generator, kind: Kind, minutes: int) -> Floats:
    """Return the wave of the level (minutes,), in units of the logarithm."""
    at = np.arange(minutes)
    season = kind.season
    day = season.daily * np.sin(2 * np.pi * (at % PER_DAY) / PER_DAY + rng.uniform(0, 2 * np.pi))
    weekday = (at // PER_DAY + 2) % 7  # START is a Wednesday
    free = weekday >= 5
    if season.holidays:
        free |= np.isin(at // PER_DAY, rng.choice(max(minutes // PER_DAY, 1), 2))
    return day - season.weekly * free


def _life(rng: np.random.Generator, kind: Kind, minutes: int, models: int) -> Floats:
    """Return what a model's life adds to its level (minutes, models)."""
    added = rng.normal(0, 0.5, models)[None, :] + np.zeros((minutes, 1))
    if kind.life is Life.DEPLOYED:
        for model in range(models):
            for at in rng.integers(minutes // 4, minutes, kind.admissible):
                added[at:, model] += rng.choice([-1, 1]) * rng.uniform(0.2, 0.7)
    if kind.life is Life.REGIMES:
        for model in range(models):
            switches = np.sort(rng.integers(0, minutes, kind.admissible))
            for number, at in enumerate(switches):
                added[at:, model] += 0.4 if number % 2 == 0 else -0.4
    if kind.noise is Noise.WANDERING and kind.observable is not Observable.ERRORS:
        added = added + np.cumsum(rng.normal(0, kind.spread / 60, added.shape), axis=0)
    return added


def _alive(rng: np.random.Generator, kind: Kind, minutes: int, models: int) -> NDArray[np.bool_]:
    """Return when each model reports (minutes, models)."""
    at = np.arange(minutes)[:, None]
    if kind.life in {Life.DAY, Life.CANARY}:
        born = rng.integers(0, max(minutes - PER_DAY, 1), models)
        length = PER_DAY if kind.life is Life.DAY else PER_DAY // 2
        return np.asarray((at >= born) & (at < born + length))
    if kind.life is Life.NIGHTLY:
        hour = at % PER_DAY // 60
        return np.broadcast_to((hour >= 1) & (hour < 4), (minutes, models)).copy()
    return np.ones((minutes, models), np.bool_)


# ---------------------------------------------------------------- changes


def _effects(rng: np.random.Generator, change: Change, alive: NDArray[np.bool_]) -> tuple[Floats, list[Window]]:
    """Return the effect (minutes, models), 0 without a change and 1 at its full size, and the planted windows."""
    effect = np.zeros(alive.shape)
    windows: list[Window] = []
    if change.shape is Shape.NONE:
        return effect, windows
    length = max(int(change.hours * 60), SLOT)
    for model in range(alive.shape[1]):
        present = np.flatnonzero(alive[:, model])
        for start, scale, counts in _starts(rng, change.moment, present, length):
            end = min(start + length, len(effect))
            effect[start:end, model] += scale * course(change.shape, end - start)
            windows.append(Window(model, start, end, counts))
    return effect, windows


def _starts(
    rng: np.random.Generator, moment: Moment, present: NDArray[np.int64], length: int
) -> list[tuple[int, float, bool]]:
    """Return start, scale and whether it counts, of each change of a model."""
    born, last = int(present[0]), int(present[-1])
    if moment is Moment.FIRST_DAY:
        hours = max(min(PER_DAY, last - born) - length, 2)
        return [(born + int(rng.integers(hours // 2, hours)), 1.0, True)]
    later = born + int(rng.integers(8 * PER_DAY, max(last - born - 3 * length - 2 * PER_DAY, 8 * PER_DAY + 1)))
    again = min(later + length + int(rng.integers(6 * 60, 24 * 60)), last - 1)
    match moment:
        case Moment.SOON_AFTER | Moment.TWICE:
            return [(later, 1.0, True), (again, 1.0, True)]
        case Moment.AFTER_LARGER:
            return [(later, LARGER, False), (again, 1.0, True)]
    return [(later, 1.0, True)]


def course(shape: Shape, length: int) -> Floats:
    """Return the effect of a change over its minutes (length,)."""
    share = np.linspace(0, 1, length)
    match shape:
        case Shape.RAMP | Shape.DECAY:
            return share
        case Shape.BURST:
            return np.asarray((share * 5).astype(int) % 2 == 0, dtype=float)
        case Shape.DIP:
            return -np.ones(length)
    return np.ones(length)


# ---------------------------------------------------------------- observations


def _values(rng: np.random.Generator, kind: Kind, level: Floats, effect: Floats) -> Floats:
    """Return latencies, scores or values (minutes, models)."""
    spread = kind.spread * np.exp(kind.season.of_noise * (level - level.mean(axis=0)))
    if kind.change.shape is Shape.VARIANCE:
        spread = spread * np.where(effect > 0, kind.change.size, 1.0)
        shift = np.zeros_like(effect)
    else:
        shift = effect * np.log(kind.change.size)
    noise = spread * _noise(rng, kind, level.shape)
    if kind.observable is Observable.LATENCY:
        values = 0.2 * np.exp(level + shift + noise)
        if kind.noise is Noise.ZEROS:
            values[rng.random(values.shape) < 0.01] = 0.0
        return values
    if kind.observable is Observable.SCORE:
        return np.clip(1 / (1 + np.exp(-(level - 1 + 2 * shift + 3 * noise))), 0.0, 1.0)
    return 10 * (level + shift + noise)


def _noise(rng: np.random.Generator, kind: Kind, shape: tuple[int, ...]) -> Floats:
    """Return noise of unit variance (minutes, models)."""
    if kind.noise is Noise.HEAVY:
        return np.asarray(rng.standard_t(kind.tails, shape) / np.sqrt(kind.tails / (kind.tails - 2)))
    white = rng.standard_normal(shape)
    if kind.noise is not Noise.AUTOREGRESSIVE:
        return white
    innovation = np.sqrt(1 - kind.phi**2)
    for at in range(1, len(white)):
        white[at] = kind.phi * white[at - 1] + innovation * white[at]
    return white


def _counts(
    rng: np.random.Generator, kind: Kind, level: Floats, wave: Floats, effect: Floats, alive: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return increases of errors and requests over WINDOW at each slot (slots, models).

    wave: season of the odds of an error (minutes, 1), in units of their logarithm.
    """
    traffic = kind.traffic * np.exp(np.clip(level, -3, 3))
    if kind.counts is Counts.DISPERSED:
        traffic = traffic * rng.gamma(4, 1 / 4, traffic.shape)
    requests = rng.poisson(np.where(alive, traffic, 0.0)).astype(float)
    odds = kind.share / (1 - kind.share) * np.exp(wave) * kind.change.size ** np.clip(effect, -1, LARGER)
    share = odds / (1 + odds)
    if kind.counts is Counts.DISPERSED:
        share = rng.beta(20 * share, 20 * (1 - share))
    if kind.counts is Counts.BURSTY:
        share = np.where(rng.random(share.shape) < 0.002, np.minimum(1.0, 20 * share), share)
    errors = rng.binomial(requests.astype(np.int64), share).astype(float)
    return _increase(rng, kind, errors, requests, alive)


# ---------------------------------------------------------------- sampling


def _sampled(rng: np.random.Generator, kind: Kind, values: Floats) -> Floats:
    """Return the last sample before each slot (slots, models), NaN when it is older than LOOKBACK."""
    at, scraped = _scrapes(rng, kind, len(values), values.shape[1])
    slots = np.arange(SLOT, len(values) + 1, SLOT) - 1
    found = np.full((len(slots), values.shape[1]), np.nan)
    for model in range(values.shape[1]):
        times = at[scraped[:, model]]
        last = np.searchsorted(times, slots, side="right") - 1
        fresh = (last >= 0) & (slots - times[np.maximum(last, 0)] < LOOKBACK)
        found[fresh, model] = values[times[last[fresh]], model]
    return found


def _increase(
    rng: np.random.Generator, kind: Kind, errors: Floats, requests: Floats, alive: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return increases as Prometheus computes them: over the scrapes in a window, resets included, extrapolated."""
    minutes, models = requests.shape
    at, scraped = _scrapes(rng, kind, minutes, models)
    slots = np.arange(SLOT, minutes + 1, SLOT) - 1
    out = np.full((2, len(slots), models), np.nan)
    for model in range(models):
        reset = rng.random(minutes) < kind.sampling.resets / (7 * PER_DAY)
        times = at[scraped[:, model]]
        times = times[alive[times, model]]
        if len(times) < 2:
            continue
        for which, each in enumerate((errors[:, model], requests[:, model])):
            out[which, :, model] = _one_increase(_counter(each, kind.sampling.step, reset), times, slots)
    return out[0], out[1]


def _counter(each: Floats, step: int, reset: NDArray[np.bool_]) -> Floats:
    """Return a counter (minutes,) that is updated every `step` minutes and starts at 0 after a reset."""
    total = np.cumsum(each)
    base = np.maximum.accumulate(np.where(reset, total, 0.0))
    shown = (np.arange(len(each)) // step) * step
    return np.maximum(total[shown] - base[shown], 0.0)


def _one_increase(counter: Floats, times: NDArray[np.int64], slots: NDArray[np.int64]) -> Floats:
    """Return the increase over (slot - WINDOW, slot] (slots,); NaN with fewer than two scrapes in it."""
    shown = counter[times]
    gained = np.diff(shown, prepend=shown[0])
    gained = np.cumsum(np.where(gained < 0, shown, gained))
    first = np.searchsorted(times, slots - WINDOW, side="right")
    last = np.searchsorted(times, slots, side="right") - 1
    enough = last > first
    low, high = np.where(enough, first, 0), np.where(enough, last, 1)
    span = np.maximum(times[high] - times[low], 1).astype(float)
    spacing = span / np.maximum(high - low, 1)
    before, after = times[low] - (slots - WINDOW), slots - times[high]  # Prometheus extrapolates to a near edge only
    reach = sum(np.where(gap < 1.1 * spacing, gap, spacing / 2) for gap in (before, after))
    return np.where(enough, (gained[high] - gained[low]) * (span + reach) / span, np.nan)


def _scrapes(
    rng: np.random.Generator, kind: Kind, minutes: int, models: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the minutes of scrapes, and which of them each model has (scrapes, models): gaps come in runs."""
    every, sampling = kind.sampling.every, kind.sampling
    at = np.arange(rng.integers(every), minutes, every)
    late = (rng.random(len(at)) < sampling.jitter).astype(np.int64)
    at = np.unique(np.minimum(at + late, minutes - 1))
    missing = np.zeros((len(at), models), np.bool_)
    if sampling.gaps:
        run = 12
        starts = rng.random((len(at), models)) < sampling.gaps / run
        for shift in range(run):
            missing[shift:] |= starts[: len(at) - shift]
    return at, ~missing


__all__ = ["SLOT", "START", "WINDOW", "Incidents", "Signals", "Window", "course", "generate", "incidents"]
