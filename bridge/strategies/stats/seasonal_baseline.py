"""What a signal usually does: the course of a day, what the hours of the week add to it, and a level that may wander.

It learns in a day what a day looks like, in two to three weeks what a week does, and within a day that a level is a
new one. Everything is UTC.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, HOUR, Duration, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn

DAYS = 4 * HOUR  # of samples of one hour of the day are behind its level: those of some four days
WEEKS = 0.2  # weight of the newest week in what an hour of the week adds
WANDER = 12 * HOUR  # a level is followed with this time constant
NOISE = 3 * DAY  # the noise is learnt with this one
FEW = 30  # samples before the noise is known
HUBER = 5.0  # times the mean deviation: what is further out teaches only so much
CLIP = 4.0  # sigmas
MAD = 1.2533  # standard deviations in a mean deviation, sqrt(pi / 2)
DRIFT = 3 * HOUR  # means over about this time tell a level that wanders
WEEK = 7 * DAY  # how much they move is learnt with this time constant
CHANCE = 1.5  # times the variance of independent noise: what a week of it shows by chance
MOST = 0.95  # the highest correlation of neighbours that is believed


class Surprise(NamedTuple):
    """z: (k,) how far a sample is from what was expected of it, in robust sigmas, clipped; NaN while not known.

    expected: (k,) the usual level, in the unit of the samples; NaN while the hour was never seen.
    """

    z: Floats
    expected: Floats


class Habits:
    """For many models at once. fields: of the state of one; zero = never seen."""

    fields: tuple[Any, ...] = (
        ("day", np.float32, (24,)), ("seen", np.bool_, (24,)), ("week", np.float32, (168,)), ("wander", np.float64),
        ("count", np.float64), ("spread", np.float64), ("variance", np.float64), ("product", np.float64),
        ("before", np.float64), ("noise", np.float64), ("drift", np.float64), ("excess", np.float64),
    )  # fmt: skip

    def step(self, values: Floats, slot: Timestamp, passed: NDArray[np.int64], own: StateColumn) -> Surprise:
        """Compare values (k,), all finite, with what is usual, and learn from them; own (k,) is changed in place.

        passed: (k,) ms since each model's last sample.
        """
        hour, hour_of_week = slot // HOUR % 24, slot // HOUR % 168
        base = self._base(slot, own)
        known = ~np.isnan(base)
        beyond = np.where(known, values - base, 0.0)
        usual = own["week"][:, hour_of_week].astype(np.float64)
        residual = beyond - usual - own["wander"]
        expected = base + usual + own["wander"]
        z = self._calm(self._surprise(residual, known, passed, own), passed, own)
        gain = 1 - (1 - WEEKS) ** (passed / HOUR)
        own["week"][:, hour_of_week] += np.where(known, gain * (beyond - usual), 0.0)
        own["wander"] += np.where(known, _share(passed, WANDER) * (beyond - usual - own["wander"]), 0.0)
        level = own["day"][:, hour]
        first = ~own["seen"][:, hour]
        own["day"][:, hour] = np.where(first, values, level + _share(passed, DAYS) * (values - level))
        own["seen"][:, hour] = True
        return Surprise(z, expected)

    @staticmethod
    def _base(slot: Timestamp, own: StateColumn) -> Floats:
        """(k,) the day's course at `slot`, drawn through the middles of the hours; NaN where the hour is unknown."""
        earlier, share = divmod(slot / HOUR - 0.5, 1.0)
        one, two = int(earlier) % 24, (int(earlier) + 1) % 24
        here = slot // HOUR % 24
        drawn = (1 - share) * own["day"][:, one] + share * own["day"][:, two]
        both = own["seen"][:, one] & own["seen"][:, two]
        base = np.where(both, drawn, own["day"][:, here].astype(np.float64))
        return np.where(both | own["seen"][:, here], base, np.nan)

    @staticmethod
    def _surprise(residual: Floats, known: NDArray[np.bool_], passed: NDArray[np.int64], own: StateColumn) -> Floats:
        """Free of the part that the last residual foretold, in units of the noise; and learn the noise."""
        count = own["count"] + known
        gain = np.where(known, np.maximum(1 / np.maximum(count, 1), _share(passed, NOISE)), 0.0)
        bound = np.where(count > FEW, HUBER * own["spread"], np.inf)
        tame = np.clip(residual, -bound, bound)
        before = np.where(passed <= HOUR, own["before"], 0.0)
        own["variance"] += gain * (tame * tame - own["variance"])
        own["product"] += gain * (tame * before - own["product"])
        phi = np.clip(own["product"] / np.maximum(own["variance"], 1e-300), 0.0, MOST)
        innovation = residual - phi * before
        size = MAD * own["noise"]
        z = np.where(known & (count > FEW), np.clip(innovation / np.maximum(size, 1e-12), -CLIP, CLIP), np.nan)
        most = np.where(count > FEW, CLIP * own["noise"], np.inf)
        own["noise"] += gain * (np.minimum(np.abs(innovation), most) - own["noise"])
        own["spread"] += gain * (np.abs(tame) - own["spread"])
        own["before"] = np.where(known, tame, own["before"])
        own["count"] = count
        return z

    @staticmethod
    def _calm(z: Floats, passed: NDArray[np.int64], own: StateColumn) -> Floats:
        """Divide by how much more the means of hours move than those of independent noise would; and learn that.

        AR(1) takes out what neighbours tell of each other; a level that wanders under noise it does not.
        """
        known, share, variance = ~np.isnan(z), _share(passed, DRIFT), 1.0 + own["excess"]
        own["drift"] += np.where(known, share * (np.where(known, z, 0.0) - own["drift"]), 0.0)
        squared = own["drift"] ** 2 * (2 - share) / np.maximum(share, 1e-12)
        fresh = np.minimum(squared, HUBER * variance)
        own["excess"] += np.where(known, _share(passed, WEEK) * (fresh - variance), 0.0)
        return np.asarray(z / np.sqrt(np.maximum(variance / CHANCE, 1.0)))


def _share(passed: NDArray[np.int64], constant: Duration) -> Floats:
    """The weight of a sample after `passed` ms, with this time constant."""
    return np.asarray(-np.expm1(-passed / constant))
