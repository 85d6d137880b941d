"""Block maxima: score of a statistic against its own daily peaks, in units of their spread.

Whatever the distribution and autocorrelation of a statistic, maxima of long blocks follow an extreme value
distribution, whose mean and spread show how rare a higher one is: Coles, An Introduction to Statistical Modeling of
Extreme Values, Springer 2001, chapter 3. By its max-stability, maxima of days have the spread of those of hours times
24 to the power of the shape, which is 0 for light tails (Gumbel); so hours stand in for days at first, and show how
heavy the tails are later. While few days are known, the shape is shrunk towards TYPICAL. The spread of a few hours is
uncertain, so it is taken larger: the maxima of twelve Gaussian samples, for example, have 0.36 of their mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, HOUR, MINUTE, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.clipping import NEGLIGIBLE, bound

MEMORY = 21  # days of peaks
HOURS = 48  # hours of peaks behind their mean and spread
FIRST_HOURS = 4  # hours with samples on the first day before anything is known
FEW_HOURS = 8  # the same on later days, as of a nightly job, and hours before a spread is certain
LEAST_SPREAD, UNSURE = 0.5, 2.0  # least spread as a share of the mean peak, and its factor, while it is uncertain
BOUND = 6.0  # spreads above the mean of the peaks: more than that is not learnt from one day
ALIGNED = 5 * MINUTE  # hours and days of a model begin at a multiple of this
TINY = 1e-12
HEAVIEST = 0.4  # highest shape
TYPICAL, WORTH = 0.15, 4.0  # shape before anything is known (between Gumbel's and that of Student's t), and its days
EULER, GUMBEL = 0.5772156649015329, math.pi / math.sqrt(6)  # mean and standard deviation of Gumbel's distribution
LIFT = math.log(24) / GUMBEL  # spreads by which the mean peak of a day is above that of an hour, for light tails
SHAPES = np.linspace(0.0, HEAVIEST, 9)

Bools = NDArray[np.bool_]


class Peaks(NamedTuple):
    """Comparison of values with their peaks; all (k, count, s), NaN while unknown.

    score: distance above the mean daily peak in spreads, each widened for few days and for heavy tails, so that it
        compares with the limit of BlockMaxima.
    mean: mean daily peak. limit: value whose score is the limit.
    lone: score that is exceeded on one day with the probability `lone` of BlockMaxima, given the weight of the tail;
        never below the limit.
    """

    score: Floats
    mean: Floats
    limit: Floats
    lone: Floats


class NormalPeaks(NamedTuple):
    """Mean and standard deviation of the highest of some independent standard normal numbers."""

    mean: float
    spread: float

    def score(self, values: Floats) -> Floats:
        """Return the distance of values above such a peak, in spreads, as that of BlockMaxima."""
        return np.asarray((values - self.mean) / self.spread)


def normal_peaks(count: int) -> NormalPeaks:
    """Return the peaks of `count` numbers, at least two, by their limit distribution, Gumbel's (Coles, section 3.1)."""
    normal, count = NormalDist(), max(count, 2)
    high = normal.inv_cdf(1 - 1 / count)
    scale = normal.inv_cdf(1 - 1 / (count * math.e)) - high
    return NormalPeaks(high + EULER * scale, GUMBEL * scale)


class BlockMaxima:
    """Peaks of `count` statistics of many models, for both directions. Days begin when a model is first seen.

    p: probability that the peak of a day exceeds the limit.
    lone: the same for each statistic that a single value may decide, shared by the directions that count; 0 for none.
    share: for each statistic, another one whose tail is as heavy, or itself. The heavier of the two estimates is used.
    limit: in spreads of light-tailed peaks.
    fields: dtype fields of the state of one model.
    """

    def __init__(
        self, count: int, p: float, lone: Sequence[float] | None = None, share: Sequence[int] | None = None
    ) -> None:
        sides = (count, 2)
        self.limit = quantile(p, 0.0)
        self._quantiles = _quantiles(p)
        self._share = list(range(count) if share is None else share)
        rare = [0.0] * count if lone is None else lone
        self._lone = {width: [_quantiles(each / width) if each else None for each in rare] for width in (1, 2)}
        self.fields: list[Any] = [
            ("born", np.int64), ("hour", np.int32), ("day", np.int32),
            ("hour_top", np.float64, sides), ("hour_mean", np.float64, sides), ("hour_spread", np.float32, sides),
            ("hours", np.uint8, sides), ("top", np.float64, sides), ("mean", np.float64, sides),
            ("spread", np.float32, sides), ("days", np.uint16, sides), ("some", np.uint8, sides),
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
        mean, spread, lone = self._peaks(view)
        mean[view.hours < np.where(view.days > 0, FEW_HOURS, FIRST_HOURS)] = np.nan
        with np.errstate(invalid="ignore"):
            scores = (values - mean) / (spread + 1e-9 * np.abs(mean) + TINY)
        view.add(values)
        view.store()
        return Peaks(scores, mean, mean + self.limit * spread, lone)

    def _peaks(self, view: _Columns) -> tuple[Floats, Floats, Floats]:
        """Return mean and widened spread of the peaks of days, and the score of a lone peak; all (k, count, s).

        They come from the peaks of hours before there are days.
        """
        days = np.maximum(view.days, 1).astype(np.float64)
        some, narrow = view.days > 0, view.hour_spread
        least = UNSURE * np.maximum(narrow, LEAST_SPREAD * np.abs(view.hour_mean))
        narrow = np.where(some | (view.hours >= FEW_HOURS), narrow, least)
        mean = np.where(some, view.mean, view.hour_mean + LIFT * narrow)
        spread = np.hypot(np.where(some, view.spread, 0.0), narrow / days)
        with np.errstate(divide="ignore", invalid="ignore"):
            shape = np.log(spread / narrow) / math.log(24)
        shape = np.nan_to_num(shape, nan=0.0, posinf=0.0, neginf=0.0) * days + TYPICAL * WORTH
        shape /= days + WORTH
        shape = np.maximum(shape, shape[:, self._share])
        limit = np.interp(shape, SHAPES, self._quantiles)
        lone = np.full(shape.shape, np.inf)
        for at, quantiles in enumerate(self._lone[shape.shape[2]]):
            if quantiles is not None:
                far = np.interp(shape[:, at], SHAPES, quantiles)
                lone[:, at] = self.limit * np.maximum(far / limit[:, at], 1.0)
        return mean, spread * np.where(some, 1.0 + 1.0 / days, 1.0) * (limit / self.limit), lone


def forget(own: StateColumn, statistic: int) -> None:
    """Forget the peaks of one statistic, and begin new hours and days for all; own (k,) is changed in place."""
    for name in ("hours", "days"):
        own[name][:, statistic] = 0
    own["some"] = 0
    for name in ("born", "hour", "day"):
        own[name] = 0


class _Columns:
    """Columns of the state for the sides that are used, copied."""

    names = ("hour_top", "hour_mean", "hour_spread", "hours", "top", "mean", "spread", "days", "some")

    def __init__(self, own: StateColumn, sides: slice) -> None:
        self._own, self._sides = own, sides
        for name in self.names:
            column = own[name][:, :, sides]
            setattr(self, name, column.astype(np.float64) if column.dtype == np.float32 else column)

    hour_top: Floats
    hour_mean: Floats
    hour_spread: Floats
    hours: NDArray[np.uint8]
    top: Floats
    mean: Floats
    spread: Floats
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
        far = self.hour_top - self.hour_mean
        most = bound(BOUND * self.hour_spread, far, self.hours >= FIRST_HOURS)
        delta = np.where(over, np.minimum(far, most), 0.0)
        self.hour_mean = self.hour_mean + gain * delta
        self.hour_spread = _spread(self.hour_spread, gain, delta)
        self.hours = hours
        self.some = np.where(over, self.some & 2, self.some).astype(np.uint8)

    def close_days(self, over: Bools) -> None:
        """Add the peaks of days that are over."""
        over = over & (self.some & 2 > 0)
        if not over.any():
            return
        days = self.days + over.astype(np.uint16)
        gain = np.where(over, np.maximum(1.0 / np.maximum(days, 1), 1.0 / MEMORY), 0.0)
        wide = np.hypot(self.spread, self.hour_spread / np.maximum(self.days, 1).astype(np.float64))
        far = self.top - self.mean
        varied = (self.days == 1) | (self.spread > NEGLIGIBLE * far)
        delta = np.where(over, np.minimum(far, bound(BOUND * wide, far, (self.days > 0) & varied)), 0.0)
        self.mean = self.mean + gain * delta
        self.spread = _spread(self.spread, gain, delta)
        self.days = np.minimum(days, 60_000).astype(np.uint16)
        self.some = np.where(over, self.some & 1, self.some).astype(np.uint8)

    def add(self, values: Floats) -> None:
        """Raise the peaks of this hour and this day to values."""
        present = ~np.isnan(values)
        self.hour_top = np.where(present & ((self.some & 1 == 0) | (values > self.hour_top)), values, self.hour_top)
        self.top = np.where(present & ((self.some & 2 == 0) | (values > self.top)), values, self.top)
        self.some = np.where(present, 3, self.some).astype(np.uint8)


def _spread(spread: Floats, gain: Floats, delta: Floats) -> Floats:
    """Return the standard deviation after a number at distance `delta` from the mean, with weight `gain`."""
    return np.asarray(np.sqrt(1 - gain) * np.hypot(spread, np.sqrt(gain) * delta))


def _quantiles(p: float) -> Floats:
    """Return the quantile for each of SHAPES."""
    return np.array([quantile(p, shape) for shape in SHAPES.tolist()])


def quantile(p: float, shape: float) -> float:
    """Return the distance from the mean, in standard deviations, that a generalised extreme value exceeds with p."""
    rare = -math.log1p(-p)
    if shape == 0.0:
        return (-math.log(rare) - EULER) / GUMBEL
    first, second = math.gamma(1 - shape), math.gamma(1 - 2 * shape)
    return float((rare**-shape - first) / math.sqrt(second - first * first))
