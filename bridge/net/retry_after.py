"""How long a server asks us to wait (RFC 9110, section 10.2.3)."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from bridge.domain.times import HOUR, Duration, Timestamp, from_datetime

LONGEST: Duration = HOUR


def retry_after(value: str | None, now: Timestamp) -> Duration:
    """The Retry-After header in ms from `now`, at most an hour; 0 when it is absent, past or not understood."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # A number that long is not a wait, but must not become an error either.
        return min(int(text[:12]) * 1000, LONGEST)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # asctime's form names no zone
        return max(0, min(from_datetime(moment) - now, LONGEST))
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0
