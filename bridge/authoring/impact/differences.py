"""Difference in differences: change of a signal around retrainings, minus its change where nothing was retrained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.authoring.impact.intervals import Estimate
from bridge.strategies.stats.trend import student

CONFIDENCE = 0.95
LEAST = 2  # retrainings, or breaches without one, for an interval
ASSUMPTIONS = (
    "The signal is the mean of value divided by limit, in the {window} before the request and after the retraining.",
    "Comparison with siblings: without a retraining, the model would have changed as other models of its project did.",
    "Siblings were not breached. If breaches end by themselves, this comparison overstates the effect of retraining.",
    "Comparison with other breaches: gates held their requests by chance, not because they were less severe.",
    "The intervals assume that retrainings are independent of each other (Student's t, Welch's t).",
)


@dataclass(frozen=True, slots=True)
class Change:
    """Mean of value / limit before and after."""

    before: float
    after: float

    @property
    def difference(self) -> float:
        """Change, negative if the signal fell."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Differences:
    """Both comparisons. retrainings, untreated: their numbers; an estimate is None if there are too few.

    siblings: mean over retrainings of their change minus the mean change of their siblings.
    breaches: mean change of retrainings minus that of breaches without one.
    """

    retrainings: int
    with_siblings: int
    untreated: int
    siblings: Estimate | None
    breaches: Estimate | None


def differences(treated: Sequence[tuple[Change, Sequence[Change]]], untreated: Sequence[Change]) -> Differences:
    """Return the estimates. treated: change of each retrained model, and those of its siblings at that time."""
    paired = [own.difference - _mean(others) for own, others in treated if others]
    changes = [own.difference for own, _ in treated]
    alone = [item.difference for item in untreated]
    return Differences(len(changes), len(paired), len(alone), one_sample(paired), welch(changes, alone))


def one_sample(values: Sequence[float]) -> Estimate | None:
    """Return the mean with its interval, None for fewer than LEAST values."""
    count = len(values)
    if count < LEAST:
        return None
    mean = float(np.mean(values))
    return _interval(mean, float(np.std(values, ddof=1)) / math.sqrt(count), count - 1)


def welch(one: Sequence[float], other: Sequence[float]) -> Estimate | None:
    """Return the difference of two means with Welch's interval, None for fewer than LEAST values in either."""
    if min(len(one), len(other)) < LEAST:
        return None
    difference = float(np.mean(one) - np.mean(other))
    errors = [float(np.var(values, ddof=1)) / len(values) for values in (one, other)]
    total = sum(errors)
    if not total:
        return Estimate(difference, difference, difference)
    freedom = total**2 / sum(error**2 / (len(v) - 1) for error, v in zip(errors, (one, other), strict=True))
    return _interval(difference, math.sqrt(total), max(1, math.floor(freedom)))  # rounded down: wider, never narrower


def _interval(value: float, error: float, freedom: int) -> Estimate:
    reach = float(student((1 + CONFIDENCE) / 2, freedom)[freedom]) * error
    return Estimate(value, value - reach, value + reach)


def _mean(changes: Sequence[Change]) -> float:
    return float(np.mean([item.difference for item in changes]))
