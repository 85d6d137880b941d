"""Retry-After header (RFC 9110, section 10.2.3)."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from bridge.domain.times import HOUR, Duration, Timestamp, from_datetime

LONGEST: Duration = HOUR


def retry_after(value: str | None, now: Timestamp) -> Duration:
    """Return the wait in ms from `now`, at most an hour; 0 when the header is absent, in the past or invalid."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # Such a long number is nonsense, but must not raise an error either.
        return min(int(text[:12]) * 1000, LONGEST)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # the asctime format has no time zone
        return max(0, min(from_datetime(moment) - now, LONGEST))
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0
