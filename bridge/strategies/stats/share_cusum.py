"""CUSUMs of an error rate: log likelihood ratios for twice, 1.3 times and half the usual odds.

The CUSUM is Page's, Biometrika 41 (1954). If the mean of exp(evidence) is at most 1 without a change, the mean time
between false alarms is at least exp(limit) windows: Lorden, Annals of Mathematical Statistics 42 (1971). Binomial
errors satisfy that; others do not. So the weight of the evidence is learnt: the largest exponent for which the mean of
the likelihood ratio to that power has been at most 1. It is not learnt while a rise is likely, so that the rise does
not devalue itself. Windows whose errors are binomial around a rate that wanders for hours meet that condition, but
their sums do not; so the weight is at most the reciprocal of the variance of such sums, in units of that of binomial
errors. The evidence of one window is bounded, so that a burst is no lasting rise: Huber, Annals of
Mathematical Statistics 36 (1965). A rate that has fallen becomes the usual one silently, and so does one
that is back where it has been at such times, as on Monday after a weekend with fewer errors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, HOUR, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn

ODDS = np.array([2.0, 1.3, 0.5])  # odds ratios of the changes to detect; the last is a fall
FALL = 2  # index of the fall, and number of the rises
FALLEN = 6.0  # limit of its sum
MEMORY, LEAST_WINDOWS = 24 * HOUR, 5  # time constant of the usual error rate, and the least number of windows in it
NEAR = HOUR  # time constant of the present error rate
HOURS = 5 * HOUR  # time constant of the error rate of one hour of the day: samples of about five days
PRIOR, STEEPEST = 20.0, 4.0  # errors by which the factor of an hour is shrunk to 1, and its bound
WARM_UP = 4 * HOUR
SETTLED = 72 * HOUR  # then the small rise is looked for
LEAST, MOST = 1e-4, 1 - 1e-4  # bounds of the usual error rate
EXPONENTS = np.exp2(-np.arange(8, dtype=np.float32))  # candidates for the weight of evidence
CALIBRATION = 14 * DAY  # time constant of the means of likelihood ratios
LESSON = 0.25  # greatest increase of such a mean by one window
WANDER, HUBER = 6 * HOUR, 9.0  # time constant of the sums that show a wandering error rate; limit of their squares
LARGEST, SLOW = 1 / 3, 1 / 2  # greatest evidence of a window, as a share of the limit: up to 20 minutes, from 30 on
CHANCE = 1.2  # multiple of the binomial variance that a fortnight of these sums often shows by chance
WHOLE = 2 * HOUR  # windows longer than this do not belong to one hour of the day
TINY = 1e-12
UNKNOWN, UNTIL = 2.0, 12 * HOUR  # overdispersion that is added at first, and the time constant of its end

Bools = NDArray[np.bool_]


class ShareChange(NamedTuple):
    """Result for k models; all (k,).

    span: ms that the window covers; a gap without samples counts as one hour at most.
    usual: error rate before the window, a standard error above the estimate.
    factor: usual error rate of this hour of the day, as a multiple of that of the day.
    total: the higher of the CUSUMs of rises.
    near, error: error rate of about an hour, and its standard error, both as the arcsine of the square root.
    known: warmed up.
    """

    span: NDArray[np.int64]
    usual: Floats
    factor: Floats
    total: Floats
    near: Floats
    error: Floats
    known: Bools


class ShareCusum:
    """CUSUMs of the error rates of many models. fields: dtype fields of one model's state; zero = never seen."""

    fields: tuple[Any, ...] = (
        ("errors", np.float64), ("requests", np.float64), ("sums", np.float32, (3,)),
        ("moments", np.float32, (3, EXPONENTS.size)),
        ("new_errors", np.float32, (3,)), ("new_requests", np.float32, (3,)), ("near_errors", np.float32),
        ("near_requests", np.float32), ("lived", np.float32),
        ("beyond", np.float32), ("noise", np.float32), ("wander", np.float32),
        ("hour_errors", np.float32, (24,)), ("hour_expected", np.float32, (24,)),
    )  # fmt: skip

    def step(
        self, errors: Floats, requests: Floats, slot: Timestamp, passed: NDArray[np.int64], seen: NDArray[np.int64],
        limit: float, calm: Bools, own: StateColumn,
    ) -> ShareChange:  # fmt: skip
        """Add errors (k,) of requests (k,) > 0 to the sums; update the state own (k,) in place.

        passed: (k,) ms since each model's last sample with requests.
        seen: (k,) ms of these for which the model was observed.
        limit: of the sums of rises. calm: (k,), no alarm is on.
        Then call `learn`.
        """
        own["lived"] += seen
        few, span = own["errors"] + 0.5, np.minimum(passed, seen)
        level, factor = (few + np.sqrt(few)) / (own["requests"] + 1.0), self._factor(slot, span, own)
        usual = np.clip(level * factor, LEAST, MOST)
        ratios = log_ratios(np.minimum(errors, MOST * requests), requests, usual)  # more are no rise
        most = limit * np.clip(span / HOUR, LARGEST, SLOW)
        weight = 1 / (1 / weights(own["moments"]) + UNKNOWN * np.exp(-own["lived"] / UNTIL)[:, None])
        self._calibrate(ratios, most, span, calm & (own["sums"][:, :FALL].max(axis=1) <= limit / 2), own)
        even = np.clip(factor * few / (own["requests"] + 1.0), TINY, 1 - TINY)
        weight = np.minimum(weight, self._steadiness(errors, requests, even, span, calm, own)[:, None])
        sums = np.maximum(own["sums"] + np.minimum(weight * ratios, most[:, None]), 0.0)
        sums[own["lived"] < SETTLED, 1] = 0.0
        moving = sums > 0
        own["new_errors"] = np.where(moving, own["new_errors"] + errors[:, None], 0.0)
        own["new_requests"] = np.where(moving, own["new_requests"] + (requests * factor)[:, None], 0.0)
        own["sums"] = sums
        kept = np.exp(-passed / NEAR)
        own["near_errors"] = kept * own["near_errors"] + errors
        own["near_requests"] = kept * own["near_requests"] + requests
        near = np.arcsin(np.sqrt(np.clip(own["near_errors"] / own["near_requests"], 0.0, 1.0)))
        error = 0.5 / np.sqrt(own["near_requests"])
        known = (own["lived"] >= WARM_UP) & (own["requests"] > 0)
        return ShareChange(span, usual, factor, sums[:, :FALL].max(axis=1), near, error, known)

    @staticmethod
    def _steadiness(
        errors: Floats, requests: Floats, usual: Floats, span: NDArray[np.int64], calm: Bools, own: StateColumn
    ) -> Floats:
        """Return the greatest weight (k,) of evidence about an error rate that wanders, and learn how far it does.

        That is the reciprocal of the variance of the errors beyond the usual ones in about WANDER; 1 if it is binomial.
        usual: (k,), without a margin. calm: (k,), no alarm is on; otherwise the change would devalue the next one.
        """
        known, kept = own["requests"] > 0, np.exp(-span / WANDER)
        own["beyond"] = np.where(known, kept * own["beyond"] + errors - requests * usual, 0.0)
        own["noise"] = np.where(known, kept**2 * own["noise"] + requests * usual * (1 - usual), 0.0)
        variance = 1.0 + own["wander"].astype(np.float64)
        squared = own["beyond"].astype(np.float64) ** 2 / np.maximum(own["noise"], TINY)
        gain = np.where(known & calm, -np.expm1(-span / np.clip(own["lived"], DAY, CALIBRATION)), 0.0)
        own["wander"] += gain * (np.minimum(squared, HUBER * np.maximum(variance, 1.0)) - variance)
        return np.asarray(1 / np.maximum(variance / CHANCE, 1.0))

    @staticmethod
    def _calibrate(ratios: Floats, most: Floats, span: NDArray[np.int64], calm: Bools, own: StateColumn) -> None:
        """Learn the means of likelihood ratios, each to the power of EXPONENTS, from windows that are calm (k,).

        ratios: (k, 3), their logarithms. most: (k,), greatest logarithm of a power.
        """
        gain = np.where(calm & (own["requests"] > 0), -np.expm1(-span / np.clip(own["lived"], HOUR, CALIBRATION)), 0.0)
        lesson = np.minimum(most, np.log1p(LESSON / np.maximum(gain, TINY)))
        powers = ratios.astype(np.float32)[:, :, None] * EXPONENTS
        bounded = np.minimum(powers, lesson.astype(np.float32)[:, None, None])
        own["moments"] += gain.astype(np.float32)[:, None, None] * (np.exp(bounded) - own["moments"])

    @staticmethod
    def _factor(slot: Timestamp, span: NDArray[np.int64], own: StateColumn) -> Floats:
        """Return the usual error rate of this hour of the day, as a multiple of that of the day (k,).

        On a first day, the only errors of this hour are the present ones.
        """
        hour = slot // HOUR % 24
        seen, expected = (own[name][:, hour].astype(np.float64) for name in ("hour_errors", "hour_expected"))
        factor = np.clip((seen + PRIOR) / (expected + PRIOR), 1 / STEEPEST, STEEPEST)
        return np.where((own["lived"] < MEMORY) | (span > WHOLE), 1.0, factor)

    @staticmethod
    def restart(own: StateColumn) -> None:
        """Clear the sums and keep the usual error rate; own (k,) is changed in place."""
        for name in ("sums", "new_errors", "new_requests", "near_errors", "near_requests", "beyond", "noise"):
            own[name] = 0.0

    @staticmethod
    def learn(
        errors: Floats, requests: Floats, slot: Timestamp, found: ShareChange, limit: float, odd: Bools,
        highest: Floats, hit: Bools, own: StateColumn,
    ) -> Bools:  # fmt: skip
        """Learn the usual error rate; return which models (k,) are back at one that is usual at such times.

        odd: (k,) the present error rate is higher than it has been at such times.
        highest: (k,) error rate of such times up to which a rise becomes the usual rate without an alarm.
        hit: (k,) an alarm begins or continues: the new error rate becomes the usual one.
        """
        young = own["lived"] <= MEMORY  # a first day may be half of a wave, but waves do not double a rate in hours
        doubtful = odd & (found.total >= limit / 2) & (young | found.known)
        memory = np.maximum(np.clip(own["lived"] / 4, 3 * HOUR, MEMORY), LEAST_WINDOWS * found.span)
        gain = np.where(doubtful, 0.0, -np.expm1(-found.span / memory))
        learnt = np.where(doubtful, 0.0, 1.0)
        rows, rise = np.arange(len(own)), own["sums"][:, :FALL].argmax(axis=1)
        risen = own["new_errors"][rows, rise] / np.maximum(own["new_requests"][rows, rise], TINY) * found.factor
        back = found.known & ~hit & (found.total >= limit) & (risen <= highest)
        anew = hit | back | (found.known & (own["sums"][:, FALL] > FALLEN))
        which = np.where(hit | back, rise, FALL)
        hour, kept = slot // HOUR % 24, np.exp(-found.span / HOURS)
        level = (own["errors"] + 0.5) / (own["requests"] + 1.0)
        bounded = np.minimum(errors, 2 * requests * found.usual)
        for name, numbers in (("hour_errors", bounded), ("hour_expected", requests * level)):
            column = own[name][:, hour]
            own[name][:, hour] = np.where(found.known & ~doubtful, kept * column + numbers, column)
        for name, numbers in (("errors", errors), ("requests", requests * found.factor)):
            fresh = own[f"new_{name}"][rows, which]
            own[name] = np.where(anew, fresh, (1 - gain) * own[name] + learnt * numbers)
        for name in ("beyond", "noise"):
            own[name] = np.where(anew, 0.0, own[name])
        over = (anew | ~found.known)[:, None]
        sums = np.where(over, 0.0, own["sums"])
        sums[:, :FALL] = np.minimum(sums[:, :FALL], 3 * limit)
        own["sums"] = sums
        for name in ("new_errors", "new_requests"):
            own[name] = np.where(over, 0.0, own[name])
        return np.asarray(back)


def weights(moments: NDArray[np.float32]) -> Floats:
    """Return the largest exponents (k, 3) whose moments (k, 3, 8) are at most 1, interpolated; at least the last."""
    fine = moments <= 1
    first = np.where(fine.any(-1), fine.argmax(-1), EXPONENTS.size - 1)
    here, above = (
        np.take_along_axis(moments, np.maximum(place, 0)[..., None], -1)[..., 0] for place in (first, first - 1)
    )
    share = (1 - here) / np.maximum(above - here, 1e-6)
    return np.asarray(EXPONENTS[first] * 2.0 ** np.where(first > 0, np.clip(share, 0.0, 1.0), 0.0))


def log_ratios(errors: Floats, requests: Floats, usual: Floats) -> Floats:
    """Return log likelihood ratios (k, 3) of ODDS times the usual odds, given binomial errors among requests (k,)."""
    odds = ODDS * (usual / (1 - usual))[:, None]
    good = np.log1p(odds) + np.log1p(-usual)[:, None]  # log ratio of the shares of good requests, negated
    return np.asarray(errors[:, None] * np.log(ODDS) - requests[:, None] * good)
