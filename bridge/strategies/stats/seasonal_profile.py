"""What is usual in an hour of the day or of the week: one level per hour, drawn through the middles of the hours."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import HOUR, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.ar1_noise import HUBER, HUBER_MEAN

Bools = NDArray[np.bool_]
SLOTS = {"day": 24, "week": 168}
TYPICAL = 20  # samples that speak for an hour's noise being as usual
LATEST = 1000  # samples of an hour that its noise is learnt from
LEAST_VARIANCE = 0.01  # of usual: or a number that stands still at night would take ages to become noisy
MEMORY = 4  # seasons: the level of an hour is the mean of the last four or so


def local(slot: Timestamp, zone: ZoneInfo) -> Timestamp:
    """The instant as a clock on the wall of `zone` shows it, in ms."""
    offset = datetime.fromtimestamp(slot / 1000, zone).utcoffset()
    return slot if offset is None else slot + int(offset.total_seconds() * 1000)


class Season:
    """The levels of the hours of a season, for many models at once. slots: 24 or 168."""

    def __init__(self, slots: int, zone: str) -> None:
        self._slots = slots
        self._zone = ZoneInfo(zone)

    @property
    def fields(self) -> list[Any]:
        """Of the state: level and count of seasons per hour, excess of noise per hour of the day and the samples behind
        it, and the hour that is being added up."""
        hours = (self._slots,)
        return [
            ("levels", np.float32, hours), ("seasons", np.uint8, hours),
            ("excess", np.float32, (24,)), ("samples", np.uint16, (24,)),
            ("hour", np.int32), ("sum", np.float64), ("added", np.float32),
        ]  # fmt: skip

    def reference(self, slot: Timestamp, state: StateColumn) -> Floats:
        """(k,) the level that is usual at `slot`; NaN where the hour was never seen."""
        hour, within = divmod(local(slot, self._zone), HOUR)
        share = within / HOUR - 0.5
        here = self._level(hour, state)
        beside = self._level(hour + (1 if share > 0 else -1), state)
        return np.asarray(np.where(np.isnan(beside), here, here + abs(share) * (beside - here)))

    def seen(self, slot: Timestamp, state: StateColumn) -> Floats:
        """(k,) how many seasons are behind the reference at `slot`."""
        hour = local(slot, self._zone) // HOUR
        return np.asarray(state["seasons"][:, hour % self._slots].astype(np.float64))

    def add(self, slot: Timestamp, state: StateColumn, numbers: Floats, which: Bools) -> None:
        """Add numbers (k,) where `which` to the present hour; hours that are over become part of their level."""
        hour = local(slot, self._zone) // HOUR
        over = np.flatnonzero((state["added"] > 0) & (state["hour"] != hour))
        if len(over):
            self._fold(state, over)
        state["hour"] = hour
        state["sum"] += np.where(which, numbers, 0.0)
        state["added"] += which

    def noise(self, slot: Timestamp, state: StateColumn) -> Floats:
        """(k,) by what factor the noise of this hour of the day is wider than usual."""
        return np.sqrt(1.0 + state["excess"][:, self._hour_of_day(slot)].astype(np.float64))

    def learn_noise(self, slot: Timestamp, state: StateColumn, innovation: Floats, which: Bools) -> None:
        """Take innovations (k,) in, in usual sigmas, where `which`; outliers of the hour count for little."""
        place = self._hour_of_day(slot)
        samples, variance = state["samples"][:, place], 1.0 + state["excess"][:, place].astype(np.float64)
        fresh = variance * np.minimum(innovation**2 / variance, HUBER * HUBER) / HUBER_MEAN
        moved = variance + (fresh - variance) / (TYPICAL + samples)
        state["excess"][:, place] = np.where(which, np.maximum(moved, LEAST_VARIANCE) - 1.0, state["excess"][:, place])
        state["samples"][:, place] = np.where(which, np.minimum(samples + 1, LATEST), samples)

    def _hour_of_day(self, slot: Timestamp) -> int:
        return local(slot, self._zone) // HOUR % 24

    def _level(self, hour: int, state: StateColumn) -> Floats:
        place = hour % self._slots
        level = state["levels"][:, place].astype(np.float64)
        level[state["seasons"][:, place] == 0] = np.nan
        return np.asarray(level)

    def _fold(self, state: StateColumn, over: NDArray[np.int64]) -> None:
        places = state["hour"][over] % self._slots
        mean = state["sum"][over] / state["added"][over]
        seen = np.minimum(state["seasons"][over, places], MEMORY - 1)
        old = state["levels"][over, places]
        state["levels"][over, places] = old + (mean - old) / (seen + 1)
        state["seasons"][over, places] = seen + 1
        state["sum"][over] = 0
        state["added"][over] = 0
