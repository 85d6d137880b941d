"""Times as written on a command line."""

from __future__ import annotations

import re

from bridge.domain.times import Timestamp, parse_duration, parse_rfc3339

_EPOCH = re.compile(r"\d{1,11}(\.\d{1,9})?")


def parse_time(text: str, now: Timestamp) -> Timestamp:
    """Parse RFC 3339, Unix seconds, `now` or `now-30d` to ms. Raises ValueError with the accepted formats."""
    message = f"{text!r} is not a time; use RFC 3339 (2026-11-01T00:00:00Z), Unix seconds, now or now-30d"
    if text == "now":
        return now
    try:
        if text.startswith("now-"):
            return now - parse_duration(text.removeprefix("now-"))
        if _EPOCH.fullmatch(text):
            return round(float(text) * 1000)
        return parse_rfc3339(text)
    except ValueError:
        raise ValueError(message) from None
