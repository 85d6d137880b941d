"""Bursts of errors: windows with more errors than the usual error rate, than those of other days, and than chance.

The excess of errors in a window is the signed root of the Poisson deviance, which has about the standard normal
distribution, for few errors, too: McCullagh and Nelder, Generalized Linear Models, 2nd edition, Chapman and Hall 1989,
section 2.4. It is compared with its past peaks, as in block_maxima, and with those of normal noise: errors that have
been constant, as 0 is, have no peaks from which chance could be known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, Duration, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.block_maxima import TINY, BlockMaxima, normal_peaks
from bridge.strategies.stats.confirmation import confirmed

BY_CHANCE = 1.5  # standard errors by which the highest of a week of error rates exceeds their mean
FEW = 5  # errors that are no burst
NEAR_INDEX, EXCESS_INDEX = 0, 1  # statistics among the peaks


class Bursts(NamedTuple):
    """Comparison of a window with those of other days; all (k,).

    usual_rate: whether the error rate of about an hour is at most the mean of its daily peaks; False if that is
        unknown, as for a counter that seldom steps.
    score: multiple of the limit by which the errors exceed the usual number; below 1 without confirmation.
    """

    usual_rate: NDArray[np.bool_]
    score: Floats


class ErrorBursts:
    """Peaks of errors of many models. fields: dtype fields of one model's state; zero = never seen.

    count: statistics for which the state has space; two are used.
    often, rare: probability on one day that a burst is above the limit that needs confirmation, and above the other.
    window: ms between two windows.
    """

    def __init__(self, count: int, often: float, rare: float, window: Duration) -> None:
        self._maxima = BlockMaxima(count, often, [rare] * count)
        self._count, self._chance = count, normal_peaks(DAY // window)
        self.fields = self._maxima.fields

    def step(
        self, errors: Floats, requests: Floats, near: Floats, usual: Floats, highest: Floats, slot: Timestamp,
        passed: NDArray[np.int64], over: NDArray[np.int64], own: StateColumn,
    ) -> Bursts:  # fmt: skip
        """Compare errors (k,) of requests (k,) > 0 with their peaks, and add them; update own (k,) in place.

        near: (k,) error rate of about an hour, on any scale. usual: (k,) usual error rate.
        highest: (k,) highest error rate at this hour of other days, 0 where unknown: at most that is no burst.
        passed: (k,) ms since each model's last window. over: (k,) slot of the last high score, updated in place.
        """
        statistics = np.full((len(errors), self._count, 1), np.nan)
        statistics[:, NEAR_INDEX, 0] = near
        statistics[:, EXCESS_INDEX, 0] = excess(errors, requests, usual)
        peaks = self._maxima.step(statistics, slot, own, slice(0, 1))
        mean, limit, days = (each[:, EXCESS_INDEX, 0] for each in (peaks.mean, peaks.limit, own["days"]))
        least = excess(errors, requests, np.maximum(usual, highest))
        score = np.minimum((least - mean) / ((limit - mean) / self._maxima.limit + TINY), self._chance.score(least))
        score = np.where((days > 0) & (errors >= FEW) & ~np.isnan(score), score, -np.inf)
        lone = peaks.lone[:, EXCESS_INDEX, 0]
        usual_rate = peaks.score[:, NEAR_INDEX, 0] <= 0
        return Bursts(usual_rate, confirmed(score, self._maxima.limit, lone, slot, passed, over))


def excess(errors: Floats, requests: Floats, usual: Floats) -> Floats:
    """Return the errors above the usual number (k,), on a scale where chance is about standard normal.

    usual: (k,) error rate, > 0.
    """
    expected = requests * usual
    with np.errstate(divide="ignore", invalid="ignore"):
        deviance = np.where(errors > 0, errors * np.log(errors / expected), 0.0) - (errors - expected)
    return np.asarray(np.sign(errors - expected) * np.sqrt(2 * np.maximum(deviance, 0.0)))


def ends_by_chance(upper: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Return the error rates (k,) between which the upper end of a range is, apart from chance: the higher one first.

    upper, error: (k,) arcsine of the square root of that end, -inf where it is unknown, and its standard error.
    """
    ends = [np.clip(upper + some * error, 0.0, np.pi / 2) for some in (BY_CHANCE, -BY_CHANCE)]
    return np.sin(ends[0]) ** 2, np.sin(ends[1]) ** 2
