"""Time intervals: which instants they contain, and until when."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.time_interval import TimeInterval, TimePeriod
from bridge.domain.times import DAY, HOUR, MINUTE, from_datetime, parse_rfc3339, rfc3339

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
WORK = TimePeriod(times=((540, 1020),), weekdays=((1, 5),), location=BERLIN)
ALWAYS = TimeInterval("always", (TimePeriod(),))


def utc(text: str) -> int:
    """Return the instant of "2026-03-29 01:00" in UTC."""
    return parse_rfc3339(f"{text}Z")


def shown(instant: int) -> str:
    """Return an instant in the form that `utc` accepts; empty for 0."""
    return rfc3339(instant)[:16].replace("T", " ") if instant else ""


def holds(span: TimePeriod, text: str) -> bool:
    return TimeInterval("one", (span,)).contains(utc(text))


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("2026-11-23 07:59:59", False), ("2026-11-23 08:00:00", True), ("2026-11-23 15:59:59.999", True),
        ("2026-11-23 16:00:00", False), ("2026-11-27 12:00", True), ("2026-11-28 12:00", False),
        ("2026-11-29 12:00", False), ("2026-07-06 07:00", True), ("2026-07-06 15:00", False),
    ],
)  # fmt: skip
def test_times_and_weekdays_are_those_of_the_zone(text: str, inside: bool) -> None:
    """Nine to five in Berlin is 08:00 to 16:00 UTC in winter, 07:00 to 15:00 in summer; the end is excluded."""
    assert holds(WORK, text) is inside


@pytest.mark.parametrize(
    ("location", "text", "inside"),
    [
        ("UTC", "2026-11-21 23:30", False),  # Saturday
        (BERLIN, "2026-11-21 23:30", True),  # Sunday there already
        (NEW_YORK, "2026-11-22 04:30", False),  # Saturday there still
        (NEW_YORK, "2026-11-22 05:00", True),
        ("Asia/Kolkata", "2026-11-21 18:30", True),
        ("Asia/Kolkata", "2026-11-21 18:29", False),
    ],
)
def test_a_day_begins_at_midnight_of_the_zone(location: str, text: str, inside: bool) -> None:
    """Sunday (0), as seen from different places."""
    assert holds(TimePeriod(weekdays=((0, 0),), location=location), text) is inside


@pytest.mark.parametrize(
    ("days", "year", "february"),
    [
        ((-1, -1), 2026, [28]), ((-1, -1), 2028, [29]), ((-3, -1), 2026, [26, 27, 28]), ((-3, -2), 2028, [27, 28]),
        ((27, -1), 2026, [27, 28]), ((27, -1), 2028, [27, 28, 29]), ((28, 31), 2026, [28]), ((29, 31), 2026, []),
        ((29, 31), 2028, [29]), ((31, 31), 2028, []), ((-31, -27), 2026, [1, 2]), ((-31, -29), 2026, []),
        ((-31, -29), 2028, [1]), ((1, 2), 2026, [1, 2]), ((1, -27), 2026, [1, 2]),
    ],
)  # fmt: skip
def test_days_of_the_month_are_cut_to_the_month(days: tuple[int, int], year: int, february: list[int]) -> None:
    """A range that reaches beyond the month ends with it; one that begins beyond it is not in this month."""
    span = TimePeriod(days_of_month=(days,))
    assert [day for day in range(1, 28 + (year == 2028) + 1) if holds(span, f"{year}-02-{day:02d} 12:00")] == february


@pytest.mark.parametrize("location", ["UTC", BERLIN, NEW_YORK])
@pytest.mark.parametrize(
    ("month", "last"), [(1, 31), (3, 31), (4, 30), (5, 31), (6, 30), (9, 30), (10, 31), (11, 30), (12, 31)]
)
def test_the_last_day_is_the_calendars(location: str, month: int, last: int) -> None:
    """Also in the months in which clocks change, which are an hour shorter or longer."""
    span = TimePeriod(days_of_month=((-1, -1),), location=location)
    noons = {
        day: from_datetime(datetime(2026, month, day, 12, tzinfo=ZoneInfo(location))) for day in range(1, last + 1)
    }
    assert [day for day, noon in noons.items() if span.contains(noon)] == [last]


@pytest.mark.parametrize(
    ("span", "text", "inside"),
    [
        (TimePeriod(months=((1, 3),)), "2026-03-31 23:59", True),
        (TimePeriod(months=((1, 3),)), "2026-04-01 00:00", False),
        (TimePeriod(months=((12, 12), (1, 1))), "2026-12-31 23:59", True),
        (TimePeriod(months=((12, 12), (1, 1))), "2027-01-01 00:00", True),
        (TimePeriod(years=((2024, 2026),)), "2026-12-31 23:59", True),
        (TimePeriod(years=((2024, 2026),)), "2027-01-01 00:00", False),
        (TimePeriod(years=((2027, 2027),), location=BERLIN), "2026-12-31 23:00", True),
        (TimePeriod(years=((2027, 2027),), location=NEW_YORK), "2027-01-01 04:59", False),
        (TimePeriod(times=((1380, 1440),)), "2026-12-31 23:59:59", True),
        (TimePeriod(times=((1380, 1440),)), "2027-01-01 00:00", False),
        (TimePeriod(times=((0, 1440),)), "2027-01-01 00:00", True),
        (TimePeriod(times=((0, 60), (120, 180))), "2027-01-01 01:30", False),
        (TimePeriod(times=((0, 60), (120, 180))), "2027-01-01 02:30", True),
        (TimePeriod(weekdays=((1, 1),), months=((11, 11),), days_of_month=((23, 23),), years=((2026, 2026),)),
         "2026-11-23 00:00", True),
        (TimePeriod(weekdays=((2, 2),), months=((11, 11),), days_of_month=((23, 23),), years=((2026, 2026),)),
         "2026-11-23 00:00", False),
    ],
)  # fmt: skip
def test_every_field_must_hold(span: TimePeriod, text: str, inside: bool) -> None:
    """A field holds when one of its ranges does."""
    assert holds(span, text) is inside


def test_no_fields_are_always_and_no_spans_are_never() -> None:
    """An omitted field matches anything; an empty list of spans matches nothing."""
    never = TimeInterval("never", ())
    for at in (0, utc("2028-02-29 23:59"), utc("2100-01-01 00:00")):
        assert ALWAYS.contains(at)
        assert not never.contains(at)
        assert ALWAYS.until(at) == 0
        assert never.until(at) == at + MINUTE
        assert never.begins(at) == 0
        assert ALWAYS.begins(at) == at + MINUTE


@pytest.mark.parametrize(
    ("span", "start", "ends"),
    [
        (WORK, "2026-11-23 08:00", "2026-11-23 16:00"),
        (WORK, "2026-11-23 15:59:59.999", "2026-11-23 16:00"),
        (TimePeriod(times=((540, 541),)), "2026-11-23 09:00", "2026-11-23 09:01"),
        (TimePeriod(times=((540, 541), (541, 542))), "2026-11-23 09:00", "2026-11-23 09:02"),
        (TimePeriod(weekdays=((6, 6), (0, 0)), location=BERLIN), "2026-03-28 12:00", "2026-03-29 22:00"),
        (TimePeriod(weekdays=((6, 6), (0, 0)), location=BERLIN), "2026-10-24 12:00", "2026-10-25 23:00"),
        # Spring, Berlin: 02:00 is followed by 03:00 at 01:00 UTC; what lies between is not there.
        (TimePeriod(times=((60, 150),), location=BERLIN), "2026-03-29 00:30", "2026-03-29 01:00"),
        (TimePeriod(times=((60, 210),), location=BERLIN), "2026-03-29 00:30", "2026-03-29 01:30"),
        # Autumn, Berlin: 02:00 to 03:00 comes twice, from 00:00 UTC and from 01:00 UTC.
        (TimePeriod(times=((120, 180),), location=BERLIN), "2026-10-25 00:00", "2026-10-25 02:00"),
        (TimePeriod(times=((150, 180),), location=BERLIN), "2026-10-25 00:30", "2026-10-25 01:00"),
        (TimePeriod(times=((150, 180),), location=BERLIN), "2026-10-25 01:30", "2026-10-25 02:00"),
        (TimePeriod(times=((120, 150),), location=BERLIN), "2026-10-25 00:15", "2026-10-25 00:30"),
        # New York: forward at 07:00 UTC on March 8, back at 06:00 UTC on November 1.
        (TimePeriod(times=((60, 180),), location=NEW_YORK), "2026-03-08 06:30", "2026-03-08 07:00"),
        (TimePeriod(times=((60, 120),), location=NEW_YORK), "2026-11-01 05:10", "2026-11-01 07:00"),
        (TimePeriod(times=((90, 120),), location=NEW_YORK), "2026-11-01 05:40", "2026-11-01 06:00"),
        # Lord Howe shifts by half an hour, at 02:00 local time, which is 15:00 UTC in October.
        (TimePeriod(times=((0, 125),), location="Australia/Lord_Howe"), "2026-10-03 14:00", "2026-10-03 15:30"),
        (TimePeriod(days_of_month=((-1, -1),)), "2028-02-29 10:00", "2028-03-01 00:00"),
        (TimePeriod(months=((12, 12),)), "2026-12-02 00:00", "2027-01-01 00:00"),
        (TimePeriod(years=((2026, 2026),)), "2026-01-01 00:00", "2027-01-01 00:00"),
        (TimePeriod(years=((2026, 2027),)), "2026-06-01 00:00", ""),
    ],
)  # fmt: skip
def test_an_interval_ends_with_its_first_minute_outside(span: TimePeriod, start: str, ends: str) -> None:
    """This includes clock changes; the search ends after a year and a day."""
    assert shown(TimeInterval("one", (span,)).until(utc(start))) == ends


def test_spans_that_meet_are_one() -> None:
    """A night that is written in two halves ends in the morning, not at midnight."""
    night = TimeInterval("night", (TimePeriod(times=((1320, 1440),)), TimePeriod(times=((0, 360),))))
    assert shown(night.until(utc("2026-11-23 22:30"))) == "2026-11-24 06:00"
    assert shown(night.begins(utc("2026-11-23 12:00"))) == "2026-11-23 22:00"


def test_spans_may_be_of_different_zones() -> None:
    """Office hours of Berlin, then of New York."""
    offices = TimeInterval("offices", (WORK, TimePeriod(times=((540, 1020),), weekdays=((1, 5),), location=NEW_YORK)))
    assert shown(offices.until(utc("2026-11-23 08:00"))) == "2026-11-23 22:00"
    assert shown(offices.begins(utc("2026-11-27 22:30"))) == "2026-11-30 08:00"


def test_the_limit_is_included() -> None:
    """No later instant is found."""
    day = TimeInterval("day", (TimePeriod(days_of_month=((1, 1),)),))
    at = utc("2026-11-01 00:00")
    assert day.until(at, DAY) == at + DAY
    assert day.until(at, DAY - 1) == 0
    assert day.until(at + DAY) == at + DAY + MINUTE


def test_looking_a_year_ahead_takes_no_time() -> None:
    """It goes from one instant at which something can change to the next; minutes would be half a million."""
    span = TimePeriod(
        times=((0, 1440),), weekdays=((0, 6),), days_of_month=((1, 31),), months=((1, 12),), location=BERLIN
    )
    began = time.process_time()
    assert TimeInterval("long", (span, WORK)).until(utc("2026-01-01 00:00")) == 0
    assert time.process_time() - began < 2


def _ranges(least: int, most: int) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    pair = st.tuples(st.integers(least, most), st.integers(least, most)).map(lambda two: (min(two), max(two)))
    return st.lists(pair, max_size=2).map(tuple)


SPANS = st.builds(
    TimePeriod,
    times=st.lists(
        st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda two: two[0] < two[1]), max_size=2
    ).map(tuple),
    weekdays=_ranges(0, 6),
    days_of_month=st.one_of(_ranges(1, 31), _ranges(-31, -1)),
    months=st.one_of(st.just(()), _ranges(1, 12)),
    years=st.sampled_from([(), ((2026, 2026),)]),
    location=st.sampled_from(["UTC", BERLIN, NEW_YORK, "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]),
)
# Around changes of clocks, ends of months and of the year.
STARTS = st.sampled_from(
    [
        "2026-03-28 20:00", "2026-10-24 20:00", "2026-03-08 03:00", "2026-11-01 03:00", "2026-10-03 12:00",
        "2026-04-04 12:00", "2026-02-27 22:00", "2028-02-28 22:00", "2026-12-31 12:00", "2026-02-15 00:00",
    ]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(spans=st.lists(SPANS, min_size=1, max_size=2), start=STARTS, later=st.integers(0, 600_000))
def test_looking_ahead_agrees_with_a_walk_by_minutes(spans: list[TimePeriod], start: str, later: int) -> None:
    """For both directions, over one and a half days."""
    interval, at, limit = TimeInterval("any", tuple(spans)), utc(start) + later, 36 * HOUR
    minutes = range((at // MINUTE + 1) * MINUTE, at + limit + 1, MINUTE)
    inside = {minute: interval.contains(minute) for minute in minutes}
    assert interval.until(at, limit) == next((minute for minute in minutes if not inside[minute]), 0)
    assert interval.begins(at, limit) == next((minute for minute in minutes if inside[minute]), 0)
