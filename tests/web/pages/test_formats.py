"""Formats of times and numbers."""

from __future__ import annotations

import math

import pytest

from bridge.web.pages.formats import clock, day, duration, figure, parameter, reading, when, words


@pytest.mark.parametrize(
    ("value", "unit", "event", "text"),
    [
        (0.125, "seconds", "latency", "125 ms"),
        (0.0000031, "seconds", "latency", "3.1 µs"),
        (1500.0, "milliseconds", "latency", "1.5 s"),
        (300.0, "s", "custom", "5 min"),
        (86_400.0, "seconds", "custom", "24 h"),
        (0.0, "seconds", "latency", "0 s"),
        (-0.25, "seconds", "custom", "-250 ms"),
        (0.003812, "", "inference_error", "0.381 %"),
        (0.5, "ratio", "custom", "50 %"),
        (12.5, "percent", "custom", "12.5 %"),
        (0.70213, "", "drift", "0.7021"),
        (1_234_567.0, "requests", "custom", "1,234,567 requests"),
        (0.00000123, "", "drift", "1.23e-06"),
        (math.nan, "seconds", "latency", "-"),
        (math.inf, "seconds", "latency", "inf"),
        (None, "", "drift", "-"),
    ],
)
def test_numbers_have_few_digits(value: float | None, unit: str, event: str, text: str) -> None:
    """With the unit that suits their size."""
    assert reading(value, unit, event) == text


def test_times_are_elements_in_utc() -> None:
    """The script shows them in local time; without it they are complete."""
    assert clock(0) == "-"
    assert clock(1_700_000_000_000) == '<time datetime="2023-11-14T22:13:20Z">2023-11-14 22:13:20 UTC</time>'


def test_parameters_are_readable() -> None:
    """Numbers, lists, and the strategies of a vote."""
    assert figure(12_345.6) == "12,346"
    assert parameter([0.5, {"ewma": {"limit": 3.0}, "cusum": {}}]) == "0.5, ewma: limit: 3, cusum"


def test_instants_and_durations() -> None:
    """Zero is a dash: it has not happened, or there is no limit."""
    assert (when(1_700_000_000_000), when(0)) == ("2023-11-14 22:13:20", "-")
    assert day(1_700_000_000_000) == "Tuesday 2023-11-14 22:13"
    assert (duration(90_000), duration(0)) == ("1m30s", "-")
    assert words("retrain_requested") == "retrain requested"
