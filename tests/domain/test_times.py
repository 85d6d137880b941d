"""Instants, durations and slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain import times
from bridge.domain.rule import Group


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("0", 0), ("30s", 30_000), ("1h30m", 5_400_000), ("250ms", 250), ("1d", 86_400_000), ("1w2d", 777_600_000),
     ("1y", 31_536_000_000), ("5m30s10ms", 330_010)],
)  # fmt: skip
def test_durations_are_read_as_prometheus_reads_them(text: str, milliseconds: int) -> None:
    """Units from largest to smallest, each at most once."""
    assert times.parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "-5m", "5 m", "1m1h", "1.5h", "m", "5min", "1h 30m"])
def test_what_prometheus_refuses_is_refused_with_an_example(text: str) -> None:
    """The message shows a valid example."""
    with pytest.raises(ValueError, match="for example 30s, 5m or 1h30m"):
        times.parse_duration(text)


@given(st.integers(1, 10**12))
def test_a_formatted_duration_reads_back(duration: int) -> None:
    """format and parse are inverse."""
    assert times.parse_duration(times.format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0, "0s"), (90_000, "1m30s"), (14 * times.DAY, "2w"), (8 * times.DAY, "8d"), (-5000, "-5s"), (1, "1ms")],
)
def test_durations_are_written_as_prometheus_writes_them(duration: int, text: str) -> None:
    """Weeks and years only where they are exact."""
    assert times.format_duration(duration) == text


def test_instants_are_written_in_utc_with_milliseconds() -> None:
    """It has the form of Prometheus' API."""
    assert times.rfc3339(1_700_000_000_123) == "2023-11-14T22:13:20.123Z"
    assert times.parse_rfc3339("2023-11-14T23:13:20.123+01:00") == 1_700_000_000_123


def test_a_time_without_a_zone_names_no_instant() -> None:
    """Guessing one would move requests by hours."""
    with pytest.raises(ValueError, match="no time zone"):
        times.parse_rfc3339("2023-11-14T23:13:20")
    with pytest.raises(ValueError, match="'yesterday' is not an RFC 3339 time such as 2026-01-31T12:00:00Z"):
        times.parse_rfc3339("yesterday")
    with pytest.raises(ValueError, match="without a time zone"):
        times.from_datetime(datetime(2023, 11, 14))  # noqa: DTZ001 - the naive one is the case


def test_datetimes_become_instants() -> None:
    """The zone does not matter."""
    moment = datetime(2023, 11, 14, 23, 13, 20, 123_999, timezone(timedelta(hours=1)))
    assert times.from_datetime(moment) == times.from_datetime(moment.astimezone(UTC)) == 1_700_000_000_123


@given(st.integers(1, 86_400), st.integers(0, 2**45), st.text(min_size=1))
def test_slots_are_aligned_to_interval_and_phase(seconds: int, now: int, name: str) -> None:
    """The slot is the latest aligned instant that is not after now, the same for every caller."""
    group = Group(name, seconds * 1000, {}, ())
    slot = group.slot_at(now)
    assert now - group.interval < slot <= now
    assert (slot - group.phase) % group.interval == 0
    assert 0 <= group.phase < group.interval
