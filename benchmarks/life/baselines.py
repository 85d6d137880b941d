"""Simple detectors, each as one statistic (n, k) that rises with the evidence: an alarm is a statistic above a limit.

One limit serves all kinds. All see a latency as its logarithm and a share of errors as a share; all know the direction
that counts, as `auto` does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.life.measure import BOTH, shown
from benchmarks.life.signals import EVENTS, PER_DAY, SLOT, Signals
from bridge.domain.batch import EventKind

Floats = NDArray[np.float64]
DAY = PER_DAY // SLOT
LEARN = 7 * DAY  # slots from which a fixed limit is learnt, at most a third of a life


def numbers(signals: Signals) -> Floats:
    """Return the numbers (n, k) that detectors see."""
    values = shown(signals)
    if EVENTS[signals.kind.observable] is EventKind.LATENCY:
        return np.asarray(np.log(np.maximum(values, 1e-3)))
    return values


def rolling_z(signals: Signals, width: int) -> Floats:
    """Return z of each number against the `width` before it."""
    values = numbers(signals)
    mean, spread = _rolling(values, width)
    return _sided((values - mean) / spread, signals)


def static(signals: Signals) -> Floats:
    """Return the distance from the median of the learnt time, in units of that to its 99.5th percentile."""
    values = numbers(signals)
    learnt = _learnt(values)
    middle = _percentile(learnt, 50)
    high, low = _percentile(learnt, 99.5) - middle, middle - _percentile(learnt, 0.5)
    upper = (values - middle) / np.maximum(high, 1e-6)
    lower = (middle - values) / np.maximum(low, 1e-6)
    result = np.maximum(upper, lower) if EVENTS[signals.kind.observable] in BOTH else upper
    return _after_learning(result, learnt)


def threshold_for(signals: Signals, slots: int) -> Floats:
    """Return the least z of the last `slots` numbers, by mean and spread of the learnt time: a threshold with `for`."""
    values = numbers(signals)
    learnt = _learnt(values)
    with np.errstate(all="ignore"):
        mean, spread = np.nanmean(learnt, axis=0), np.nanstd(learnt, axis=0)
    z = (values - mean) / np.maximum(spread, 1e-6)
    high, low = _lowest(z, slots), _lowest(-z, slots)
    result = np.maximum(high, low) if EVENTS[signals.kind.observable] in BOTH else high
    return _after_learning(result, learnt)


def ewma_band(signals: Signals, smooth: int = 12) -> Floats:
    """Return the distance from the exponential mean of a day of smoothed numbers, in spreads of 26 hours.

    As public PromQL anomaly rules draw it: the mean of an hour, a mean and a standard deviation over about a day.
    """
    values = numbers(signals)
    short, _ = _rolling(values, smooth, least=1)
    _, spread = _rolling(values, 26 * 12)
    mean = np.full(values.shape[1], np.nan)
    result = np.full(values.shape, np.nan)
    for at in range(len(values)):
        result[at] = (values[at] - mean) / spread[at]
        fresh = short[at]
        moved = np.where(np.isnan(mean), fresh, mean + (fresh - mean) * (2 / (DAY + 1)))
        mean = np.where(np.isnan(fresh), mean, moved)
    return _sided(result, signals)


DETECTORS: dict[str, Callable[[Signals], Floats]] = {
    "rolling z, 100 samples": lambda signals: rolling_z(signals, 100),
    "rolling z, one day": lambda signals: rolling_z(signals, DAY),
    "static p99.5": static,
    "threshold for 15m": lambda signals: threshold_for(signals, 3),
    "threshold for 1h": lambda signals: threshold_for(signals, 12),
    "EWMA band": ewma_band,
}


def _sided(z: Floats, signals: Signals) -> Floats:
    return np.abs(z) if EVENTS[signals.kind.observable] in BOTH else z


def _rolling(values: Floats, width: int, least: int = 30) -> tuple[Floats, Floats]:
    """Return mean and standard deviation (n, k) of the `width` slots before each, NaN with fewer than `least`."""
    has = ~np.isnan(values)
    offset = np.nan_to_num(np.nanmean(np.where(has, values, np.nan), axis=0)) if has.any() else 0.0
    filled = np.where(has, values - offset, 0.0)
    sums = [np.cumsum(column, axis=0) for column in (has.astype(float), filled, filled**2)]
    count, total, square = (
        column - np.concatenate([np.zeros((min(width, len(column)), column.shape[1])), column[:-width]])
        for column in sums
    )
    count, total, square = (
        np.concatenate([np.zeros((1, column.shape[1])), column[:-1]]) for column in (count, total, square)
    )
    n = np.maximum(count, 1)
    mean, variance = total / n, square / n - (total / n) ** 2
    known = count >= least
    spread = np.sqrt(np.maximum(variance, 1e-12))
    return np.where(known, mean + offset, np.nan), np.where(known, np.maximum(spread, 1e-6), np.nan)


def _learnt(values: Floats) -> Floats:
    """Return numbers of the first third of each life, at most LEARN slots; NaN elsewhere."""
    result = np.full(values.shape, np.nan)
    for model in range(values.shape[1]):
        present = np.flatnonzero(~np.isnan(values[:, model]))
        if len(present):
            end = min(present[0] + LEARN, present[0] + (present[-1] - present[0]) // 3)
            result[present[0] : end + 1, model] = values[present[0] : end + 1, model]
    return result


def _after_learning(result: Floats, learnt: Floats) -> Floats:
    has = ~np.isnan(learnt)
    last = np.where(has.any(axis=0), len(has) - 1 - has[::-1].argmax(axis=0), len(has))
    return np.where(np.arange(len(result))[:, None] > last, result, np.nan)


def _percentile(values: Floats, share: float) -> Floats:
    empty = np.isnan(values).all(axis=0)
    return np.asarray(np.nanpercentile(np.where(empty, 0.0, values), share, axis=0))


def _lowest(z: Floats, slots: int) -> Floats:
    result = z.copy()
    for shift in range(1, slots):
        result[shift:] = np.fmin(result[shift:], z[:-shift])
    return result
