"""Instants and durations.

An instant is an int: milliseconds since the epoch, UTC, as in Prometheus' own storage. A duration is an int of
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
_LONGEST_TEXT = 100
_UNITS = {"y": 365 * DAY, "w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


def parse_duration(text: str) -> Duration:
    """Prometheus' duration syntax ("90s", "1h30m", "0") in milliseconds; ValueError says what would be right."""
    if text == "0":
        return 0
    match = _DURATION.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if not text or match is None:
        shown = repr(text[:_LONGEST_TEXT])
        raise ValueError(f"{shown} is not a duration; write it as in Prometheus, for example 30s, 5m or 1h30m")
    found = sum(int(count) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True) if count)
    if found > LONGEST_DURATION:
        raise ValueError(f"{text!r} is too long; a duration is at most 292y")
    return found


def format_duration(duration: Duration) -> str:
    """The shortest form of `duration` in Prometheus' syntax: 5400000 -> "1h30m"; negative ones get a minus."""
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
    """`instant` as RFC 3339 in UTC with milliseconds, the form of Prometheus' and Alertmanager's APIs."""
    moment = datetime.fromtimestamp(instant // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant % 1000:03d}Z"


def parse_rfc3339(text: str) -> Timestamp:
    """The instant that an RFC 3339 text names; ValueError when it is not one or has no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; add Z or an offset")
    return from_datetime(moment)


def from_datetime(moment: datetime) -> Timestamp:
    """The instant of an aware datetime."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without a time zone names no instant; pass an aware one")
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * 1000 + moment.microsecond // 1000
