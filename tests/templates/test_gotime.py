"""Go's times and durations: layouts, methods, text."""

from __future__ import annotations

import pytest

from bridge.templates.errors import CallError
from bridge.templates.gotime import GoDuration, GoTime

TIME = GoTime(1_699_999_385_250)  # 2023-11-14 22:03:05.25 UTC, a Tuesday


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("2006-01-02T15:04:05Z07:00", "2023-11-14T22:03:05Z"),
        ("Mon Jan _2 3:04PM 06", "Tue Nov 14 10:03PM 23"),
        ("Monday, 2 January 2006 MST -0700", "Tuesday, 14 November 2023 UTC +0000"),
        ("05.000 05.999 05,000000", "05.250 05.25 05,250000"),
        ("002 __2", "318 318"),
        ("no layout", "no layout"),
    ],
)
def test_layouts(layout: str, text: str) -> None:
    assert TIME.layout(layout) == text


def test_a_time_prints_as_in_go() -> None:
    """Without a fraction for whole seconds."""
    assert TIME.go_string() == "2023-11-14 22:03:05.25 +0000 UTC"
    assert GoTime(0).go_string() == "1970-01-01 00:00:00 +0000 UTC"
    assert GoTime(-1000).go_string() == "1969-12-31 23:59:59 +0000 UTC"


def test_morning_and_midnight_on_a_clock_of_12_hours() -> None:
    assert GoTime(0).layout("3 03 PM pm") == "12 12 AM am"
    assert GoTime(13 * 3_600_000).layout("3 03 PM pm") == "1 01 PM pm"


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("Unix", 1_699_999_385), ("UnixMilli", 1_699_999_385_250), ("UnixNano", 1_699_999_385_250_000_000),
        ("Year", 2023), ("Month", "November"), ("Day", 14), ("YearDay", 318), ("Weekday", "Tuesday"), ("Hour", 22),
        ("Minute", 3), ("Second", 5), ("UTC", TIME),
    ],
)  # fmt: skip
def test_methods_of_a_time(method: str, value: object) -> None:
    assert GoTime.go_methods[method].call(TIME) == value


def test_a_year_that_python_cannot_show_is_an_error() -> None:
    with pytest.raises(CallError, match="year outside of range"):
        GoTime(2**62).go_string()


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0s"), (1, "1ns"), (1500, "1.5\u00b5s"), (2_000_000, "2ms"), (1_000_000_000, "1s"),
        (90_000_000_000, "1m30s"), (-3_661_500_000_000, "-1h1m1.5s"), (3_600_000_000_000, "1h0m0s"),
    ],
)  # fmt: skip
def test_a_duration_prints_as_in_go(nanos: int, text: str) -> None:
    assert GoDuration(nanos).go_string() == text


@pytest.mark.parametrize(
    ("method", "value"),
    [("Seconds", 5400.0), ("Minutes", 90.0), ("Hours", 1.5), ("Milliseconds", 5_400_000), ("String", "1h30m0s")],
)
def test_methods_of_a_duration(method: str, value: object) -> None:
    assert GoDuration.go_methods[method].call(GoDuration(5_400_000_000_000)) == value
