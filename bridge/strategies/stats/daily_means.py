"""Daily means: a slow change shows in the mean of a day before it shows in any sample.

The mean of a day is compared with those of about four weeks, in units of their standard deviation. The limit is that of
a prediction interval for one more observation: Hahn and Meeker, Statistical Intervals, Wiley 1991, chapter 4. The
newest days are not learnt yet, so that a change which takes some days does not hide itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, HOUR, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.trend import student

MEMORY = 28  # days behind the reference and its standard deviation
FEWEST = 7  # means before the next one is evaluated
GUARD = 3  # days that are not learnt yet
AFTER = 4 * DAY  # how long the means after an alarm are neither evaluated nor learnt
BOUND = 3.0  # standard deviations: more than that is not learnt from one day
EARLIER = 6 * HOUR  # from the begin of a day to the time at which the model was first seen: nightly jobs vary a little
WHOLE = 0.9  # least part of the usual time of a day for which a day must be observed: half a wave is no day
LASTS = 2  # successive days beyond the limit that are no holiday
GAIN = 0.2  # weight of the newest day in this usual time
TINY = 1e-12  # standard deviation of constant means, relative to them

Bools = NDArray[np.bool_]


class DailyMeans:
    """Daily means of many models. fields: dtype fields of one model's state; zero = never seen.

    p: probability that the mean of a day is beyond the limit of one direction, without a change.
    """

    fields: tuple[Any, ...] = (
        ("sum", np.float64), ("weight", np.float32), ("time", np.float32), ("usual_time", np.float32),
        ("anchor", np.float64),  # all other means are relative to this one
        ("mean", np.float32), ("variance", np.float64), ("recent", np.float32, (GUARD, 2)), ("waiting", np.uint8),
        ("means", np.uint8), ("deviations", np.uint8),
        ("run", np.int8),  # successive days beyond the limit, negative below it
    )  # fmt: skip

    def __init__(self, p: float) -> None:
        self._limits = student(1 - p, MEMORY)

    def step(
        self, sums: Floats, weights: Floats, slot: Timestamp, passed: NDArray[Any], born: NDArray[np.int64],
        loud: NDArray[np.int64], own: StateColumn, *, counted: bool,
    ) -> Floats:  # fmt: skip
        """Return the score (k,) of days that are over, as a multiple of the limit, and add a sample to the new day.

        Scores are NaN while the day continues, and where it is not evaluated; negative below the reference. That of the
        first day beyond the limit is at most 1: it may be a holiday. The state own (k,) is changed in place.
        sums, weights: (k,), values and ones; or errors and requests, if counted.
        passed: (k,) ms since each model's last sample. born: (k,), its first sample. loud: (k,), its last alarm.
        """
        begin = born - EARLIER
        over = (own["weight"] > 0) & ((slot - begin) // DAY != (slot - passed - begin) // DAY)
        scores = np.full(len(own), np.nan)
        if over.any():
            ended = own[over]
            step = np.minimum(passed[over], HOUR) / DAY
            since = np.where(loud[over] > 0, slot - loud[over], AFTER + 2 * DAY)
            scores[over] = self._close(ended, since, step, counted=counted)
            own[over] = ended
        own["sum"] += sums
        own["weight"] += weights
        own["time"] += np.minimum(passed, HOUR) / DAY
        return scores

    def reference(self, own: StateColumn, *, counted: bool) -> Floats:
        """Return the mean of the days that are learnt (k,); an error rate if counted."""
        mean = own["anchor"] + own["mean"]
        return np.asarray(np.sin(np.clip(mean, 0, np.pi / 2)) ** 2 if counted else mean)

    @staticmethod
    def restart(own: StateColumn) -> None:
        """Learn the reference anew, and keep the standard deviation; own (k,) is changed in place."""
        for name in ("sum", "weight", "time", "mean", "waiting", "means", "run"):
            own[name] = 0

    def _close(self, own: StateColumn, since: NDArray[np.int64], step: Floats, *, counted: bool) -> Floats:
        """Return the scores (k,) of a day, learn from it, and begin a new one.

        since: (k,) ms since the last alarm, which makes means unusual. step: (k,), part of a day for which a sample
        stands, so that a day with one sample less is whole, too. The first day begins at any time, and is none.
        """
        mean, least = _mean(own, counted=counted)
        whole = (own["usual_time"] > 0) & (own["time"] >= WHOLE * own["usual_time"] - step)
        gain = np.where(own["usual_time"] > 0, GAIN, 1.0)
        own["usual_time"] += gain * (own["time"] - own["usual_time"])
        own["anchor"] = np.where(whole & (own["means"] == 0), mean, own["anchor"])
        delta = mean - own["anchor"] - own["mean"]
        means, deviations = own["means"].astype(np.float64), own["deviations"]
        size = np.sqrt(np.maximum(own["variance"], least) * (1 + 1 / np.maximum(means, 1)))
        known = whole & (means > 0) & (deviations >= FEWEST - 1)
        scores = np.where(known, delta / (size * self._limits[deviations]), np.nan)
        alarmed, far = since <= AFTER, np.abs(scores) > 1
        run = _run(own["run"].astype(np.int64), scores, far, whole)
        lasts = np.abs(run) >= LASTS
        moved = far & ~alarmed & ((np.abs(run) > AFTER // DAY) | (lasts & (since <= AFTER + DAY)))
        self._learn(mean, delta, whole, alarmed | far, own)
        own["anchor"] = np.where(moved, mean, own["anchor"])
        own["mean"], own["means"] = np.where(moved, 0, own["mean"]), np.where(moved, 1, own["means"])
        own["run"] = np.where(moved, 0, run)
        own["sum"], own["weight"], own["time"] = 0.0, 0.0, 0.0
        return np.where(alarmed | moved, np.nan, np.where(lasts, scores, np.clip(scores, -1.0, 1.0)))

    def _learn(self, mean: Floats, delta: Floats, whole: Bools, odd: Bools, own: StateColumn) -> None:
        """Learn a day at once while few are known; otherwise let it wait, and learn the oldest that waits.

        Odd days are not learnt, nor are those that wait then: they may belong to the same change.
        """
        own["waiting"] = np.where(odd, 0, own["waiting"])
        fine, new = whole & ~odd, np.stack([mean - own["anchor"], delta], axis=1)
        few = own["means"] < FEWEST
        full = fine & ~few & (own["waiting"] == GUARD)
        oldest = own["recent"][:, 0].astype(np.float64)
        _add(np.where(few[:, None], new, oldest), (fine & few) | full, own)
        recent, waits = own["recent"], np.flatnonzero(fine & ~few)
        recent[full, :-1] = recent[full, 1:]
        own["waiting"][waits] = np.minimum(own["waiting"][waits] + 1, GUARD)
        recent[waits, own["waiting"][waits].astype(np.int64) - 1] = new[waits]
        own["recent"] = recent


def _run(run: NDArray[np.int64], scores: Floats, far: Bools, whole: Bools) -> NDArray[np.int64]:
    """Return the number (k,) of successive whole days beyond the limit, negative if they are below it."""
    side = np.where(far, np.sign(scores), 0.0).astype(np.int64)
    longer = np.where(run * side > 0, run + side, side)
    return np.clip(np.where(whole, longer, run), -99, 99)


def _mean(own: StateColumn, *, counted: bool) -> tuple[Floats, Floats]:
    """Return the mean of a day and its least variance, both (k,).

    The mean of counts is the arcsine of the square root of the error rate (Anscombe, Biometrika 35, 1948), and its
    least variance that of binomial errors.
    """
    weight = own["weight"].astype(np.float64)
    if counted:
        rate = (own["sum"] + 0.375) / (weight + 0.75)
        return np.arcsin(np.sqrt(np.clip(rate, 0.0, 1.0))), 0.25 / (weight + 0.5)
    mean = own["sum"] / weight
    return mean, (TINY * mean) ** 2 + TINY**2


def _add(found: Floats, which: Bools, own: StateColumn) -> None:
    """Add a day's mean, and its deviation from the reference of then (k, 2), to mean and variance; change own (k,).

    The deviation is a prediction error, whose variance is 1 + 1 / n times that of the means.
    """
    means, deviations = own["means"].astype(np.float64), own["deviations"].astype(np.float64)
    bound = np.where(deviations >= FEWEST - 1, BOUND * np.sqrt(own["variance"]), np.inf)
    square = np.clip(found[:, 1], -bound, bound) ** 2 * means / (means + 1)
    second = which & (means > 0)
    deviations = np.where(second, np.minimum(deviations + 1, MEMORY), deviations)
    own["variance"] += np.where(second, (square - own["variance"]) / np.maximum(deviations, 1), 0.0)
    means = np.where(which, np.minimum(means + 1, MEMORY), means)
    step = np.clip(found[:, 0] - own["mean"], -bound, bound) / np.maximum(means, 1)
    own["mean"] += np.where(which, step, 0.0)
    own["means"], own["deviations"] = means, deviations
