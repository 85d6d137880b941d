"""Named sets of times on a calendar, with the semantics of Alertmanager's `time_intervals`."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bridge.domain.times import DAY, MINUTE, Duration, Timestamp

# First and last, both included.
Range = tuple[int, int]
MINUTES_OF_A_DAY = 1440
YEAR: Duration = 366 * DAY


@dataclass(frozen=True, slots=True)
class TimePeriod:
    """Times that satisfy every field; an empty field matches any time. Ranges include both ends, except `times`.

    times: minutes of the day, the end excluded: (540, 1020) is 09:00 to 17:00, 1440 is 24:00.
    weekdays: 0 is Sunday.
    days_of_month: negative days count from the end of the month, -1 is the last day.
    months: 1 is January.
    location: IANA time zone of the calendar and clock.
    """

    times: tuple[Range, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    location: str = "UTC"

    def contains(self, at: Timestamp) -> bool:
        """Return whether the instant's minute belongs to the span."""
        moment = self._moment(at)
        return self._has_day(moment) and self._has_minute(_minute(moment))

    def next_change(self, at: Timestamp) -> Timestamp:
        """Return a later instant, a whole minute, before which `contains` cannot change; at most 25 hours away."""
        moment = self._moment(at)
        minute = _minute(moment)
        ends = (edge for range_ in self.times for edge in range_) if self._has_day(moment) else ()
        target = min((edge for edge in ends if edge > minute), default=MINUTES_OF_A_DAY)
        then = at + (target - minute) * MINUTE
        return then if self._moment(then).utcoffset() == moment.utcoffset() else self._shift(at, then)

    def _moment(self, at: Timestamp) -> datetime:
        return datetime.fromtimestamp(at // 1000, ZoneInfo(self.location))

    def _has_minute(self, minute: int) -> bool:
        return not self.times or any(first <= minute < end for first, end in self.times)

    def _has_day(self, moment: datetime) -> bool:
        return (
            _within(moment.isoweekday() % 7, self.weekdays)
            and _within(moment.month, self.months)
            and _within(moment.year, self.years)
            and self._has_day_of_month(moment)
        )

    def _has_day_of_month(self, moment: datetime) -> bool:
        if not self.days_of_month:
            return True
        # From the calendar: elapsed hours would make a month with a switch to summer time a day too short.
        length = calendar.monthrange(moment.year, moment.month)[1]
        # A day beyond the end of the month never matches, so 31 matches nothing in a shorter month.
        return _within(
            moment.day, tuple((_day(first, length), _day(last, length)) for first, last in self.days_of_month)
        )

    def _shift(self, before: Timestamp, after: Timestamp) -> Timestamp:
        """Return the minute between the two instants at which the UTC offset changes."""
        offset = self._moment(before).utcoffset()
        low, high = before // MINUTE, after // MINUTE
        while high - low > 1:
            middle = (low + high) // 2
            if self._moment(middle * MINUTE).utcoffset() == offset:
                low = middle
            else:
                high = middle
        return high * MINUTE


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """Union of the times of all spans; without spans it is empty."""

    name: str
    spans: tuple[TimePeriod, ...]

    def contains(self, at: Timestamp) -> bool:
        """Return whether the instant's minute belongs to the interval."""
        return any(span.contains(at) for span in self.spans)

    def until(self, at: Timestamp, limit: Duration = YEAR) -> Timestamp:
        """Return the first whole minute after `at` outside the interval; 0 = none within `limit`."""
        return self._first(at, limit, inside=False)

    def begins(self, at: Timestamp, limit: Duration = YEAR) -> Timestamp:
        """Return the first whole minute after `at` inside the interval; 0 = none within `limit`."""
        return self._first(at, limit, inside=True)

    def _first(self, at: Timestamp, limit: Duration, *, inside: bool) -> Timestamp:
        then = (at // MINUTE + 1) * MINUTE
        while then <= at + limit:
            if self.contains(then) is inside:
                return then
            then = min((span.next_change(then) for span in self.spans), default=at + limit + 1)
        return 0


def _minute(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute


def _within(value: int, ranges: tuple[Range, ...]) -> bool:
    return not ranges or any(first <= value <= last for first, last in ranges)


def _day(day: int, length: int) -> int:
    return day if day > 0 else length + day + 1
