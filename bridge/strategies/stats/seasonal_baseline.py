"""Seasonal baseline of a signal: daily profile, weekly adjustment, and a wandering level, all in UTC.

It learns the daily profile within a day, the weekly adjustment within two to three weeks, and a new level within a
day. The level of a new version is at first the mean of its samples, so its residuals are recursive residuals, which do
not add up to a shift: Brown, Durbin and Evans, Journal of the Royal Statistical Society B 37 (1975).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, HOUR, Duration, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.clipping import bound

DAYS = 4 * HOUR  # time constant of the level of one hour of the day: samples of about four days
WEEKS, AGAIN = 0.2, 0.95  # weights of the newest week in the adjustment of an hour; in an alarm that comes each week
WANDER = 12 * HOUR  # time constant of the level
NOISE = 3 * DAY  # time constant of the noise
FEW = 30  # samples before the noise is known
HUBER = 5.0  # clipping limit for learning, in mean deviations
CLIP = 4.0  # sigmas
MAD = 1.2533  # standard deviation divided by mean deviation, sqrt(pi / 2)
DRIFT = 3 * HOUR  # time constant of the means that show a wandering level
WEEK = 7 * DAY  # time constant of the variance of those means
CHANCE = 1.5  # multiple of the variance of independent noise that a week of it may show by chance
ALL_HOURS = (1 << 24) - 1  # bits of all hours of a day
CALMEST = 0.1  # least variance of those means: one of 0, as of constant values, would never grow again
WEEKEND = 2  # days
TODAY = np.uint8(1 << 7)  # bit of an alarm on the present day
MOST = 0.95  # highest correlation of neighbours that whitening removes
HIGHEST = 0.99  # highest correlation of neighbours


class Deviation(NamedTuple):
    """Deviation of samples from the baseline; all (k,).

    z: innovation in robust sigmas, clipped; NaN while unknown.
    expected: usual level, in the unit of the samples; NaN for an hour that was never seen.
    """

    z: Floats
    expected: Floats


class SeasonalBaseline:
    """Seasonal baseline of many models. fields: dtype fields of one model's state; zero = never seen.

    `seen` has a bit for each hour of the day.
    """

    fields: tuple[Any, ...] = (
        ("day", np.float32, (24,)), ("seen", np.uint32), ("week", np.float32, (168,)), ("wander", np.float64),
        ("count", np.float32), ("spread", np.float32), ("variance", np.float64), ("product", np.float64),
        ("before", np.float32), ("noise", np.float32), ("drift", np.float32), ("excess", np.float32),
        ("alarms", np.uint8),  # a bit for each day of the week with an alarm, and TODAY
        ("fresh", np.uint16),  # number of the next sample of a new version, until its level is settled; 0 = settled
    )  # fmt: skip

    def step(
        self, values: Floats, slot: Timestamp, passed: NDArray[np.int64], odd: NDArray[np.bool_], own: StateColumn,
        again: NDArray[np.bool_] | Literal[False] = False,
    ) -> Deviation:  # fmt: skip
        """Compare finite values (k,) with the baseline, and learn from them; update the state own (k,) in place.

        passed: (k,) ms since each model's last sample.
        odd: (k,), samples that are no weekly habit: within an alarm, and on the first day, which shows no week yet.
        again: (k,), of these, samples in an alarm that was there a week ago, too: they are a habit.
        """
        hour, hour_of_week = slot // HOUR % 24, slot // HOUR % 168
        usual = own["week"][:, hour_of_week].astype(np.float64)
        behind = own["fresh"] - 1.0  # samples behind the level of a new version
        base = self._moved(self._base(slot, own), values - usual, behind == 0, own)
        known = ~np.isnan(base)
        beyond = np.where(known, values - base, 0.0)
        residual = beyond - usual - own["wander"]
        expected = base + usual + own["wander"]
        z = self._innovation(residual, known, passed, own)
        z = np.where(behind == 0, np.nan, z / np.sqrt(1 + 1 / np.where(behind > 0, behind, np.inf)))
        z = self._deflated(z, passed, own)
        gain = 1 - (1 - WEEKS) ** (passed / HOUR)
        if np.any(again):
            gain = np.where(again, 1 - (1 - AGAIN) ** (passed / HOUR), gain)
        own["week"][:, hour_of_week] += np.where(known & (again | ~odd), gain * (beyond - usual), 0.0)
        self._follow(beyond - usual, known, passed, own)
        level = own["day"][:, hour]
        first = ~_has(own, hour)
        own["day"][:, hour] = np.where(first, values, level + _share(passed, DAYS) * (values - level))
        own["seen"] |= np.uint32(1 << hour)
        return Deviation(z, expected)

    @staticmethod
    def comes_again(
        alarm: NDArray[np.bool_], slot: Timestamp, passed: NDArray[np.int64], own: StateColumn
    ) -> NDArray[np.bool_]:
        """Return which models (k,) had an alarm today, and a week ago, too; update own (k,) in place.

        Alarms on more days of a week than a weekend has are no weekly habit.
        alarm: (k,), in an alarm until now. passed: (k,) ms since each model's last sample.
        """
        day = (slot - passed) // DAY
        bit, today, alarms = (1 << day % 7).astype(np.uint8), own["alarms"] & TODAY, own["alarms"] & ~TODAY
        ended = day < slot // DAY
        alarms = np.where(ended, np.where(today > 0, alarms | bit, alarms & ~bit), alarms)
        today = np.where(alarm, TODAY, np.where(ended, 0, today)).astype(np.uint8)
        own["alarms"] = alarms | today
        few = np.unpackbits(alarms[:, None], axis=1).sum(axis=1) <= WEEKEND
        return np.asarray((today > 0) & few & (alarms >> (slot // DAY % 7) & 1 > 0))

    @staticmethod
    def far(values: Floats, own: StateColumn) -> NDArray[np.bool_]:
        """Return which values (k,) are more than a standard deviation from the usual level over the day."""
        seen = own["seen"][:, None] >> np.arange(24, dtype=np.uint32) & 1 > 0
        level = np.where(seen, own["day"], 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1) + own["wander"]
        return np.asarray(np.abs(values - level) > MAD * own["spread"])

    @staticmethod
    def correlation(passed: NDArray[np.int64], own: StateColumn) -> Floats:
        """Return the correlation (k,) of residuals an hour apart, or of neighbours if they are further apart.

        passed: (k,) ms since each model's last sample.
        """
        return np.asarray(_phi(own, HIGHEST) ** (HOUR / np.minimum(passed, HOUR)))

    @staticmethod
    def move(own: StateColumn) -> None:
        """Keep season and noise, and learn the level anew from the next sample on; own (k,) is changed in place."""
        own["day"] += own["wander"][:, None]
        own["fresh"], own["wander"], own["before"], own["drift"] = own["count"] > 0, 0.0, 0.0, 0.0
        own["alarms"] = 0  # those of another version are no habit of this one

    @staticmethod
    def _moved(base: Floats, values: Floats, first: NDArray[np.bool_], own: StateColumn) -> Floats:
        """Return the daily profile (k,), moved to the sample of versions whose first it is."""
        far = np.where(first & ~np.isnan(base), values - base, 0.0)
        if first.any():
            own["day"] += far[:, None]
        return base + far

    @staticmethod
    def _follow(beyond: Floats, known: NDArray[np.bool_], passed: NDArray[np.int64], own: StateColumn) -> None:
        """Let the level follow a sample, `beyond` (k,) above the season.

        All samples of a new version weigh the same, until the level's time constant gives a new one more weight; and
        the whole daily profile moves to its level.
        """
        share, fresh, moving = _share(passed, WANDER), own["fresh"], known & (own["fresh"] > 0)
        equal = np.where(moving, 1 / np.maximum(fresh, 1), 0.0)
        step = np.where(known, np.maximum(equal, share) * (beyond - own["wander"]), 0.0)
        own["wander"] += np.where(moving, 0.0, step)
        if moving.any():
            own["day"] += np.where(moving, step, 0.0)[:, None]
        own["fresh"] = np.where(moving, np.where(equal > share, fresh + 1, 0), fresh)

    @staticmethod
    def _base(slot: Timestamp, own: StateColumn) -> Floats:
        """Return the daily profile (k,) at `slot`; NaN where the hour is unknown.

        It is linear within each hour. The monotonized central limiter keeps its slope small beside a jump, so that a
        nightly job is not expected half an hour early: van Leer, Journal of Computational Physics 23 (1977).
        """
        hour, from_middle = slot // HOUR % 24, slot % HOUR / HOUR - 0.5
        earlier, here, later = (own["day"][:, (hour + each) % 24].astype(np.float64) for each in (-1, 0, 1))
        back = np.where(_has(own, (hour - 1) % 24), here - earlier, 0.0)
        ahead = np.where(_has(own, (hour + 1) % 24), later - here, 0.0)
        steepest = np.minimum(np.abs(back + ahead) / 2, 2 * np.minimum(np.abs(back), np.abs(ahead)))
        slope = np.where(np.sign(back) == np.sign(ahead), np.sign(ahead) * steepest, 0.0)
        return np.where(_has(own, hour), here + from_middle * slope, np.nan)

    @staticmethod
    def _innovation(residual: Floats, known: NDArray[np.bool_], passed: NDArray[np.int64], own: StateColumn) -> Floats:
        """Return innovations (k,) in units of the noise, and learn the noise."""
        count = own["count"] + known
        gain = np.where(known, np.maximum(1 / np.maximum(count, 1), _share(passed, NOISE)), 0.0)
        most = bound(HUBER * own["spread"], residual, count > FEW)
        clipped = np.clip(residual, -most, most)
        before = np.where(passed <= HOUR, own["before"], 0.0)
        own["variance"] += gain * (clipped * clipped - own["variance"])
        own["product"] += gain * (clipped * before - own["product"])
        phi = _phi(own, MOST)
        innovation = residual - phi * before
        size = MAD * own["noise"]
        z = np.where(known & (count > FEW), np.clip(innovation / np.maximum(size, 1e-12), -CLIP, CLIP), np.nan)
        most = bound(CLIP * own["noise"], innovation, count > FEW)
        own["noise"] += gain * (np.minimum(np.abs(innovation), most) - own["noise"])
        own["spread"] += gain * (np.abs(clipped) - own["spread"])
        own["before"] = np.where(known, clipped, own["before"])
        own["count"] = count
        return z

    @staticmethod
    def _deflated(z: Floats, passed: NDArray[np.int64], own: StateColumn) -> Floats:
        """Divide z by the excess movement of hourly means over that of independent noise, and learn that excess.

        AR(1) removes the correlation of neighbours, but not a level that wanders beneath the noise.
        """
        known, share, variance = ~np.isnan(z), _share(passed, DRIFT), np.maximum(1.0 + own["excess"], CALMEST)
        own["drift"] += np.where(known, share * (np.where(known, z, 0.0) - own["drift"]), 0.0)
        squared = own["drift"] ** 2 * (2 - share) / np.maximum(share, 1e-12)
        fresh = np.minimum(squared, HUBER * variance)
        own["excess"] = np.where(known, variance - 1.0 + _share(passed, WEEK) * (fresh - variance), own["excess"])
        return np.asarray(z / np.sqrt(np.maximum(variance / CHANCE, 1.0)))


def _has(own: StateColumn, hour: int) -> NDArray[np.bool_]:
    """Return which models (k,) were seen at an hour of the day."""
    return np.asarray(own["seen"] >> np.uint32(hour) & 1 > 0)


def _phi(own: StateColumn, most: float) -> Floats:
    """Return the correlation (k,) of the residuals of neighbours, at most `most`."""
    return np.asarray(np.clip(own["product"] / np.maximum(own["variance"], 1e-300), 0.0, most))


def _share(passed: NDArray[np.int64], constant: Duration) -> Floats:
    """Return the weight of a sample after `passed` ms with this time constant."""
    return np.asarray(-np.expm1(-passed / constant))
