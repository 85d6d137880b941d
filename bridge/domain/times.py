"""Instants and durations.

An instant is an int: milliseconds since the epoch, UTC, as in Prometheus' storage. A duration is an int of
milliseconds. Integers keep slots exact, so that the same slot gives the same request id on every machine.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

Timestamp = int
Duration = int

SECOND: Duration = 1_000
MINUTE: Duration = 60_000
HOUR: Duration = 3_600_000
DAY: Duration = 86_400_000

LONGEST_DURATION: Duration = 2**63 // 1_000_000  # as many nanoseconds as Go holds: 106751d
DURATION_PATTERN = "^[0-9]+(ms|[smhdwy])([0-9]+(ms|[smhdwy]))*$"  # for JSON Schemas
_LONGEST_TEXT = 100
_UNITS = {"y": 365 * DAY, "w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


def parse_duration(text: str) -> Duration:
    """Return a duration in Prometheus' syntax ("90s", "1h30m", "0") as milliseconds. Raises ValueError with a hint."""
    if text == "0":
        return 0
    match = _DURATION.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if not text or match is None:
        shown = repr(text[:_LONGEST_TEXT])
        raise ValueError(f"{shown} is not a duration; write it as in Prometheus, for example 30s, 5m or 1h30m")
    total = sum(int(count) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True) if count)
    if total > LONGEST_DURATION:
        raise ValueError(f"{text!r} is too long; a duration is at most 292y")
    return total


def format_duration(duration: Duration) -> str:
    """Return the shortest form of `duration` in Prometheus' syntax: 5400000 -> "1h30m"; negative with a minus."""
    if duration == 0:
        return "0s"
    if duration < 0:
        return "-" + format_duration(-duration)
    parts = []
    for unit, size in _UNITS.items():
        exact_only = unit in {"y", "w"}
        count, rest = divmod(duration, size)
        if count and (not exact_only or rest == 0):
            parts.append(f"{count}{unit}")
            duration = rest
    return "".join(parts)


def rfc3339(instant: Timestamp) -> str:
    """Return `instant` as RFC 3339 in UTC with milliseconds, as in the APIs of Prometheus and Alertmanager."""
    moment = datetime.fromtimestamp(instant // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant % 1000:03d}Z"


def parse_rfc3339(text: str) -> Timestamp:
    """Return the instant of an RFC 3339 text. Raises ValueError if it is invalid or has no offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an RFC 3339 time such as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; add Z or an offset")
    return from_datetime(moment)


def from_datetime(moment: datetime) -> Timestamp:
    """Return the instant of an aware datetime. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without a time zone is ambiguous; pass an aware one")
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * 1000 + moment.microsecond // 1000
