"""Weekday means: the usual mean of each day of the week, for signals with a weekly rhythm.

A day is compared with the mean of the same weekday in about the last four weeks. These prediction errors are recursive
residuals of a model with a mean for each weekday, so their scaled squares are independent estimates of the variance of
a day: Brown, Durbin and Evans, Journal of the Royal Statistical Society B 37 (1975).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.clipping import bound

MEMORY = 28  # prediction errors behind the standard deviation
WEEKS = 4  # weeks behind the mean of a weekday
FEWEST = 7  # prediction errors before the next day is evaluated
BOUND = 3.0  # standard deviations: more than that is not learnt from one day

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class WeekdayMeans:
    """Weekday means of many models, all relative to one level. fields: dtype fields of one state; zero = never seen."""

    fields: tuple[Any, ...] = (
        ("mean", np.float32, (7,)), ("weeks", np.uint8, (7,)), ("deviation", np.float32), ("errors", np.uint8),
    )  # fmt: skip

    @staticmethod
    def predict(weekday: Ints, least: Floats, own: StateColumn) -> tuple[Floats, Floats]:
        """Return the expected mean of a day and the variance of its prediction error, both (k,); infinite if unknown.

        weekday: (k,), 0 to 6. least: (k,), minimum of the variance of a day.
        """
        rows = np.arange(len(own))
        weeks = own["weeks"][rows, weekday].astype(np.float64)
        variance = np.maximum(own["deviation"].astype(np.float64) ** 2, least) * (1 + 1 / np.maximum(weeks, 1))
        known = (weeks > 0) & (own["errors"] >= FEWEST)
        return own["mean"][rows, weekday].astype(np.float64), np.where(known, variance, np.inf)

    @staticmethod
    def rhythm(own: StateColumn) -> Floats:
        """Return the variance of the means of weekdays (k,), which a level that wanders or rises hardly increases."""
        known = own["weeks"] > 0
        count = known.sum(axis=1)
        means = np.where(known, own["mean"], 0.0).astype(np.float64)
        apart = np.where(known, means - (means.sum(axis=1) / np.maximum(count, 1))[:, None], 0.0)
        return np.asarray((apart**2).sum(axis=1) / np.maximum(count - 1, 1))

    @staticmethod
    def repeats(weekday: Ints, own: StateColumn) -> Bools:
        """Return for which models a weekday (k,) is known from two weeks or more."""
        return np.asarray(own["weeks"][np.arange(len(own)), weekday] > 1)

    @staticmethod
    def is_usual(means: Floats, others: Floats, weekday: Ints, own: StateColumn) -> Bools:
        """Return for which models the mean of a day (k,) is usual on its weekday, or the first one known of it.

        others: (k,), mean of all days. The day is usual if it is at least twice as near to its weekday.
        """
        rows = np.arange(len(own))
        apart = np.abs(means - own["mean"][rows, weekday])
        return np.asarray((own["weeks"][rows, weekday] == 0) | (2 * apart < np.abs(means - others)))

    @staticmethod
    def learn(means: Floats, weekday: Ints, which: Bools, own: StateColumn) -> None:
        """Add the means (k,) of days of which models; change the state own (k,) in place.

        Prediction errors are bounded, so that a holiday which is not odd otherwise is not learnt as a whole.
        """
        rows = np.flatnonzero(which)
        day = weekday[rows]
        before, weeks, errors = own["mean"][rows, day].astype(np.float64), own["weeks"][rows, day], own["errors"][rows]
        second, deviation = weeks > 0, own["deviation"][rows].astype(np.float64)
        error = means[rows] - before
        most = bound(BOUND * deviation, error, second & (errors >= FEWEST - 1))
        error = np.clip(error, -most, most)
        errors = np.where(second, np.minimum(errors + 1, MEMORY), errors)
        square = error**2 * weeks / (weeks + 1.0)
        variance = deviation**2 + (square - deviation**2) / np.maximum(errors, 1)
        weeks = np.minimum(weeks + 1, WEEKS)
        own["mean"][rows, day], own["weeks"][rows, day] = np.where(second, before + error / weeks, means[rows]), weeks
        own["deviation"][rows], own["errors"][rows] = np.where(second, np.sqrt(variance), deviation), errors

    @staticmethod
    def forget(weekday: Ints, which: Bools, own: StateColumn) -> None:
        """Learn a weekday of which models anew; change the state own (k,) in place."""
        rows = np.flatnonzero(which)
        own["weeks"][rows, weekday[rows]] = 0
