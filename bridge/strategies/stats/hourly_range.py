"""Range of a signal by hour of the day: where it has been at this hour within the last week or so.

A level to which a signal returns is not new: Monday after a weekend, or the end of an incident. On the second day, and
after an alarm on the first, that is a level of any hour: one day cannot distinguish a nightly job from an incident.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, HOUR, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.scale import both

LASTS = 9  # days that a bound is kept; then it halves its distance to the signal every day
HABIT = 3  # days in a row on which an hour has an alarm; on the next one, it is not odd
CONFIRMED = 0.25  # share of its distance by which a bound follows a level that confirms it
RECENT = 4 * DAY  # how long after an alarm hours are odd, because the change may last
OFTEN = 5  # alarms in a row that are a habit
ODD, ALARM = 1, 2
CHANCE = 12.0  # margins by which the highest value of an hour varies from day to day
SMOOTH = HOUR  # time constant of the level

Bools = NDArray[np.bool_]


class OutOfRange(NamedTuple):
    """Comparison of a signal with its range at this hour: outside it above (0), and below (1); bool (k, 2).

    sample: the sample itself. level: its mean of about an hour. Both are True where the range is unknown.
    """

    sample: Bools
    level: Bools


class HourlyRange:
    """Range of the hourly level of many models. fields: dtype fields of one model's state; zero = never seen."""

    fields: tuple[Any, ...] = (
        ("bound", np.float32, (24, 2)), ("age", np.uint8, (24, 2)), ("level", np.float64), ("hour", np.int32),
        ("row", np.uint8),  # alarms with at least one day, and at most LASTS, between them
        ("peak", np.float32), ("odd", np.uint8),  # whether the present hour is odd: 0, ODD or ALARM
        ("alarms", np.uint64),  # of each hour: days in a row on which it had an alarm, two bits
    )  # fmt: skip

    def step(
        self,
        values: Floats,
        margin: Floats,
        slot: Timestamp,
        passed: NDArray[np.int64],
        second: Bools,
        own: StateColumn,
    ) -> OutOfRange:
        """Compare values (k,) with the range of their hour, and add hours that are over; update own (k,) in place.

        margin: (k,), distance beyond the range that does not count yet, three times as much for a single sample.
        passed: (k,) ms since each model's last sample. Odd hours are not added, except those with a habit.
        second: (k,), models to compare with the range of all hours and a third of the margin: on their second day.
        """
        hour = slot // HOUR
        new = own["hour"] == 0
        over = ~new & (own["hour"] != hour)
        if over.any():
            self._close(np.flatnonzero(over), margin, own)
        own["peak"] = np.where(own["hour"] == hour, np.maximum(own["peak"], values), values)
        own["hour"] = hour
        share = -np.expm1(-passed / SMOOTH)
        own["level"] = np.where(new, values, own["level"] + share * (values - own["level"]))
        bound, unknown = self._bounds(slot, own)
        near = margin[:, None]
        if second.any():
            whole = np.where(own["age"] > 0, own["bound"], -np.inf).max(axis=1)
            bound = np.where(second[:, None], whole, bound)
            unknown = np.where(second[:, None], whole == -np.inf, unknown)
            near = np.where(second[:, None], near / 3, near)
        return OutOfRange(unknown | (both(values) > bound + 3 * near), unknown | (both(own["level"]) > bound + near))

    @staticmethod
    def upper(slot: Timestamp, own: StateColumn) -> tuple[Floats, Floats]:
        """Return the upper ends (k,) of the range of the hour of `slot`, and of the range of all hours.

        The first is the higher one of its beginning and its end, -inf if both are unknown; the second is inf if an hour
        is unknown.
        """
        bound, age, hour = own["bound"][:, :, 0], own["age"][:, :, 0], slot // HOUR % 24
        ends = [np.where(age[:, at] > 0, bound[:, at].astype(np.float64), -np.inf) for at in (hour - 1, hour)]
        return np.maximum(*ends), np.where((age > 0).all(axis=1), bound.max(axis=1), np.inf)

    @staticmethod
    def _bounds(slot: Timestamp, own: StateColumn) -> tuple[Floats, Bools]:
        """Return the bounds at `slot`, interpolated between the ends of hours, and which are unknown; both (k, 2)."""
        hour, within = slot // HOUR % 24, slot % HOUR / HOUR
        end, start = own["bound"][:, hour].astype(np.float64), own["bound"][:, hour - 1]
        rest = np.where(own["age"][:, hour - 1] > 0, start - end, 0.0)
        return end + (1 - within) * rest, own["age"][:, hour] == 0

    @staticmethod
    def mark(odd: Bools, own: StateColumn) -> None:
        """Mark the current hour of some models (k,) as odd."""
        own["odd"] = np.maximum(own["odd"], odd * np.uint8(ODD))

    @staticmethod
    def mark_alarms(
        alarm: Bools, begins: Bools, since: NDArray[np.int64], back: Bools, again: Bools, own: StateColumn
    ) -> None:
        """Mark the current hour of models (k,) with an alarm, and of those whose last one is RECENT, as odd.

        From the fifth alarm in a row on, and after one that comes again, RECENT hours are not odd.
        begins: (k,), an alarm begins. since: (k,) ms since the alarm before.
        back: (k,), the level turned out to be usual. again: (k,), today's alarm comes on this weekday each week.
        """
        longer = np.where(since > LASTS * DAY, 1, np.minimum(own["row"], 254) + 1)
        row = np.where(begins & (since > DAY), longer, own["row"])
        own["row"] = np.where(again, np.maximum(row, OFTEN), row)
        HourlyRange.mark((since < RECENT) & (own["row"] < OFTEN), own)
        own["odd"] = np.where(back | again, 0, np.where(alarm, ALARM, own["odd"]))

    @staticmethod
    def _close(over: NDArray[np.int64], margin: Floats, own: StateColumn) -> None:
        """Add the level at the end of an hour to the range of that hour of the day.

        A level near a bound confirms it, so that a bound of weekdays lasts through a weekend, and the other way round.
        """
        habit = HourlyRange._recurs(over, own)
        highest = np.where(habit, own["peak"][over] + CHANCE * margin[over], own["level"][over])
        kept = habit | (own["odd"][over] == 0)
        own["odd"][over] = 0
        normal, level = over[kept], both(highest[kept])
        hour = own["hour"][normal] % 24
        bound, age = own["bound"][normal, hour], own["age"][normal, hour]
        wider = (age == 0) | (level >= bound)
        near = wider | (level >= bound - margin[normal, None])
        near[:, 0] |= habit[kept]
        share = np.where(wider, 1.0, np.where(near, CONFIRMED, np.where(age >= LASTS, 0.5, 0.0)))
        own["bound"][normal, hour] = bound + share * (level - bound)
        own["age"][normal, hour] = np.where(near, 1, np.minimum(age + 1, LASTS))

    @staticmethod
    def _recurs(over: NDArray[np.int64], own: StateColumn) -> Bools:
        """Return for which models `over` this hour has a habit, and count the days in a row with an alarm in it.

        It begins after more than HABIT such days, and lasts while the highest value of the hour is nearer to the bound
        of the hour than to that of the lowest hour.
        """
        hour = own["hour"][over] % 24
        place = (2 * hour).astype(np.uint64)
        before, alarm = own["alarms"][over] >> place & np.uint64(3), own["odd"][over] == ALARM
        bounds = own["bound"][over, :, 0]
        middle = (bounds[np.arange(len(over)), hour] + bounds.min(axis=1)) / 2
        habit = (before == HABIT) & (alarm | (own["peak"][over] > middle))
        days = np.where(alarm | habit, np.minimum(before + np.uint64(1), np.uint64(HABIT)), np.uint64(0))
        own["alarms"][over] ^= (before ^ days) << place
        return np.asarray(habit)
