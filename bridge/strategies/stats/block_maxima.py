"""Block maxima: score of a statistic against its own daily peaks, in units of their spread.

Whatever the distribution and autocorrelation of a statistic, maxima of long blocks follow an extreme value
distribution, whose mean and spread show how rare a higher one is: Coles, An Introduction to Statistical Modeling of
Extreme Values, Springer 2001, chapter 3. By its max-stability, maxima of days have the spread of those of hours times
24 to the power of the shape, which is 0 for light tails (Gumbel); so hours stand in for days at first, and show how
heavy the tails are later.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, HOUR, MINUTE, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn

MEMORY = 21  # days of peaks
HOURS = 48  # hours of peaks behind their mean and spread
FEW_HOURS = 8  # hours with samples before anything is known
BOUND = 6.0  # spreads above the mean of the peaks: more than that is not learnt from one day
ALIGNED = 5 * MINUTE  # hours and days of a model begin at a multiple of this
TINY = 1e-12
HEAVIEST = 0.4  # highest shape
EULER, GUMBEL = 0.5772156649015329, math.pi / math.sqrt(6)  # mean and standard deviation of Gumbel's distribution
LIFT = math.log(24) / GUMBEL  # spreads by which the mean peak of a day is above that of an hour, for light tails
SHAPES = np.linspace(0.0, HEAVIEST, 9)

Bools = NDArray[np.bool_]


class Peaks(NamedTuple):
    """Comparison of values with their peaks; all (k, count, s), NaN while unknown.

    score: distance above the mean daily peak in spreads, each widened for few days and for heavy tails, so that it
        compares with the limit of BlockMaxima.
    mean: mean daily peak. limit: value whose score is the limit.
    """

    score: Floats
    mean: Floats
    limit: Floats


class BlockMaxima:
    """Peaks of `count` statistics of many models, for both directions. Days begin when a model is first seen.

    p: probability that the peak of a day exceeds the limit.
    limit: in spreads of light-tailed peaks.
    fields: dtype fields of the state of one model.
    """

    def __init__(self, count: int, p: float) -> None:
        sides = (count, 2)
        self.limit = quantile(p, 0.0)
        self._widths = np.array([quantile(p, shape) for shape in SHAPES.tolist()]) / self.limit
        self.fields: list[Any] = [
            ("born", np.int64), ("hour", np.int32), ("day", np.int32),
            ("hour_top", np.float64, sides), ("hour_mean", np.float64, sides), ("hour_variance", np.float64, sides),
            ("hours", np.uint8, sides), ("top", np.float64, sides), ("mean", np.float64, sides),
            ("variance", np.float64, sides), ("days", np.uint16, sides), ("some", np.uint8, sides),
        ]  # fmt: skip

    def step(self, values: Floats, slot: Timestamp, own: StateColumn, sides: slice = slice(0, 2)) -> Peaks:
        """Compare values (k, count, s) with their peaks, and add them to these; update the state own (k,) in place.

        Values of the second side are negated, so that higher is more extreme on both.
        sides: which of the two are given.
        """
        view = _Columns(own, sides)
        born = own["born"] == 0
        own["born"] = np.where(born, slot - slot % ALIGNED, own["born"])
        age = slot - own["born"]
        hour, day = (age // HOUR).astype(np.int32), (age // DAY).astype(np.int32)
        view.close_hours((own["hour"] != hour)[:, None, None])
        view.close_days((own["day"] != day)[:, None, None])
        own["hour"], own["day"] = hour, day
        mean, spread = self._peaks(view)
        mean[view.hours < FEW_HOURS] = np.nan
        with np.errstate(invalid="ignore"):
            scores = (values - mean) / (spread + 1e-9 * np.abs(mean) + TINY)
        view.add(values)
        view.store()
        return Peaks(scores, mean, mean + self.limit * spread)

    def _peaks(self, view: _Columns) -> tuple[Floats, Floats]:
        """Return mean and widened spread (k, count, s) of the peaks of days; from those of hours before there are."""
        days = np.maximum(view.days, 1).astype(np.float64)
        some = view.days > 0
        narrow = np.sqrt(view.hour_variance)
        mean = np.where(some, view.mean, view.hour_mean + LIFT * narrow)
        variance = np.where(some, view.variance, 0.0) + view.hour_variance / (days * days)
        spread = np.sqrt(variance)
        with np.errstate(divide="ignore", invalid="ignore"):
            shape = np.log(spread / narrow) / math.log(24) * (days / (days + 4.0))
        heavy = np.interp(np.nan_to_num(shape, nan=0.0, posinf=0.0), SHAPES, self._widths)
        return mean, spread * np.where(some, 1.0 + 1.0 / days, 1.0) * heavy


def forget(own: StateColumn, statistic: int) -> None:
    """Forget the peaks of one statistic, and begin new hours and days for all; own (k,) is changed in place."""
    for name in ("hours", "days"):
        own[name][:, statistic] = 0
    own["some"] = 0
    for name in ("born", "hour", "day"):
        own[name] = 0


class _Columns:
    """Columns of the state for the sides that are used, copied."""

    names = ("hour_top", "hour_mean", "hour_variance", "hours", "top", "mean", "variance", "days", "some")

    def __init__(self, own: StateColumn, sides: slice) -> None:
        self._own, self._sides = own, sides
        for name in self.names:
            setattr(self, name, own[name][:, :, sides])

    hour_top: Floats
    hour_mean: Floats
    hour_variance: Floats
    hours: NDArray[np.uint8]
    top: Floats
    mean: Floats
    variance: Floats
    days: NDArray[np.uint16]
    some: NDArray[np.uint8]  # bit 0: the hour has samples, bit 1: the day has

    def store(self) -> None:
        for name in self.names:
            self._own[name][:, :, self._sides] = getattr(self, name)

    def close_hours(self, over: Bools) -> None:
        """Add the peaks of hours that are over."""
        over = over & (self.some & 1 > 0)
        if not over.any():
            return
        hours = np.minimum(self.hours + over, HOURS).astype(np.uint8)
        gain = np.where(over, 1.0 / np.maximum(hours, 1), 0.0)
        spread = np.sqrt(self.hour_variance)
        most = np.where(self.hours >= FEW_HOURS, BOUND * spread, np.inf)
        delta = np.where(over, np.minimum(self.hour_top - self.hour_mean, most), 0.0)
        self.hour_mean = self.hour_mean + gain * delta
        self.hour_variance = (1 - gain) * (self.hour_variance + gain * delta * delta)
        self.hours = hours
        self.some = np.where(over, self.some & 2, self.some).astype(np.uint8)

    def close_days(self, over: Bools) -> None:
        """Add the peaks of days that are over."""
        over = over & (self.some & 2 > 0)
        if not over.any():
            return
        days = self.days + over.astype(np.uint16)
        gain = np.where(over, np.maximum(1.0 / np.maximum(days, 1), 1.0 / MEMORY), 0.0)
        wide = np.sqrt(self.variance + self.hour_variance / np.maximum(self.days, 1).astype(np.float64) ** 2)
        most = np.where(self.days > 0, BOUND * wide, np.inf)
        delta = np.where(over, np.minimum(self.top - self.mean, most), 0.0)
        self.mean = self.mean + gain * delta
        self.variance = (1 - gain) * (self.variance + gain * delta * delta)
        self.days = np.minimum(days, 60_000).astype(np.uint16)
        self.some = np.where(over, self.some & 1, self.some).astype(np.uint8)

    def add(self, values: Floats) -> None:
        """Raise the peaks of this hour and this day to values."""
        present = ~np.isnan(values)
        self.hour_top = np.where(present & ((self.some & 1 == 0) | (values > self.hour_top)), values, self.hour_top)
        self.top = np.where(present & ((self.some & 2 == 0) | (values > self.top)), values, self.top)
        self.some = np.where(present, 3, self.some).astype(np.uint8)


def quantile(p: float, shape: float) -> float:
    """Return the distance from the mean, in standard deviations, that a generalised extreme value exceeds with p."""
    rare = -math.log1p(-p)
    if shape == 0.0:
        return (-math.log(rare) - EULER) / GUMBEL
    first, second = math.gamma(1 - shape), math.gamma(1 - 2 * shape)
    return float((rare**-shape - first) / math.sqrt(second - first * first))
