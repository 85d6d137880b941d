"""Seasonal profile: one level per hour of the day or of the week, interpolated between mid-hours."""

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
HOURS = {"day": 24, "week": 168}
TYPICAL = 20  # prior weight, in samples, of an hour's noise being as usual
LATEST = 1000  # effective samples behind the noise of an hour
LEAST_VARIANCE = 0.01  # minimum, as a share of usual, so that a signal that is constant at night can become noisy again
MEMORY = 4  # seasons: the level of an hour is a mean of about the last four


def local(slot: Timestamp, zone: ZoneInfo) -> Timestamp:
    """Return the local wall-clock time of `slot` in `zone`, in ms."""
    offset = datetime.fromtimestamp(slot / 1000, zone).utcoffset()
    return slot if offset is None else slot + int(offset.total_seconds() * 1000)


class SeasonalProfile:
    """Hourly levels of many models. hours: 24 or 168."""

    def __init__(self, hours: int, zone: str) -> None:
        self._hours = hours
        self._zone = ZoneInfo(zone)

    @property
    def fields(self) -> list[Any]:
        """State fields of one model.

        Level and count of seasons per hour, excess noise and its samples per hour of the day, sums of the current hour.
        """
        hours = (self._hours,)
        return [
            ("levels", np.float32, hours), ("seasons", np.uint8, hours),
            ("excess", np.float32, (24,)), ("samples", np.uint16, (24,)),
            ("hour", np.int32), ("sum", np.float64), ("added", np.float32),
        ]  # fmt: skip

    def reference(self, slot: Timestamp, state: StateColumn) -> Floats:
        """Return the usual level (k,) at `slot`; NaN for an hour that was never seen."""
        hour, within = divmod(local(slot, self._zone), HOUR)
        share = within / HOUR - 0.5
        level = self._level(hour, state)
        neighbour = self._level(hour + (1 if share > 0 else -1), state)
        return np.asarray(np.where(np.isnan(neighbour), level, level + abs(share) * (neighbour - level)))

    def seen(self, slot: Timestamp, state: StateColumn) -> Floats:
        """Return the number of seasons (k,) behind the reference at `slot`."""
        hour = local(slot, self._zone) // HOUR
        return np.asarray(state["seasons"][:, hour % self._hours].astype(np.float64))

    def add(self, slot: Timestamp, state: StateColumn, numbers: Floats, which: Bools) -> None:
        """Add numbers (k,) to the current hour where `which`; fold hours that are over into their levels."""
        hour = local(slot, self._zone) // HOUR
        over = np.flatnonzero((state["added"] > 0) & (state["hour"] != hour))
        if len(over):
            self._fold(state, over)
        state["hour"] = hour
        state["sum"] += np.where(which, numbers, 0.0)
        state["added"] += which

    def noise(self, slot: Timestamp, state: StateColumn) -> Floats:
        """Return the factor (k,) by which the noise is wider than usual in this hour of the day."""
        return np.sqrt(1.0 + state["excess"][:, self._hour_of_day(slot)].astype(np.float64))

    def learn_noise(self, slot: Timestamp, state: StateColumn, innovation: Floats, which: Bools) -> None:
        """Learn the noise of the hour from innovations (k,), in usual sigmas, where `which`; outliers are clipped."""
        hour = self._hour_of_day(slot)
        samples, variance = state["samples"][:, hour], 1.0 + state["excess"][:, hour].astype(np.float64)
        fresh = variance * np.minimum(innovation**2 / variance, HUBER * HUBER) / HUBER_MEAN
        moved = variance + (fresh - variance) / (TYPICAL + samples)
        state["excess"][:, hour] = np.where(which, np.maximum(moved, LEAST_VARIANCE) - 1.0, state["excess"][:, hour])
        state["samples"][:, hour] = np.where(which, np.minimum(samples + 1, LATEST), samples)

    def _hour_of_day(self, slot: Timestamp) -> int:
        return local(slot, self._zone) // HOUR % 24

    def _level(self, hour: int, state: StateColumn) -> Floats:
        index = hour % self._hours
        level = state["levels"][:, index].astype(np.float64)
        level[state["seasons"][:, index] == 0] = np.nan
        return np.asarray(level)

    def _fold(self, state: StateColumn, over: NDArray[np.int64]) -> None:
        indices = state["hour"][over] % self._hours
        mean = state["sum"][over] / state["added"][over]
        seen = np.minimum(state["seasons"][over, indices], MEMORY - 1)
        old = state["levels"][over, indices]
        state["levels"][over, indices] = old + (mean - old) / (seen + 1)
        state["seasons"][over, indices] = seen + 1
        state["sum"][over] = 0
        state["added"][over] = 0
