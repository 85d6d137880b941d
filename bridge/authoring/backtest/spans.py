"""Instants as people write them on a command line."""

from __future__ import annotations

import re

from bridge.domain.times import Timestamp, parse_duration, parse_rfc3339

_EPOCH = re.compile(r"\d{1,11}(\.\d{1,9})?")


def instant(text: str, now: Timestamp) -> Timestamp:
    """RFC 3339, unix seconds, `now` or `now-30d`, in ms; ValueError says what would be right."""
    wanted = f"{text!r} is no instant; write RFC 3339 (2026-11-01T00:00:00Z), unix seconds, now or now-30d"
    if text == "now":
        return now
    try:
        if text.startswith("now-"):
            return now - parse_duration(text.removeprefix("now-"))
        if _EPOCH.fullmatch(text):
            return round(float(text) * 1000)
        return parse_rfc3339(text)
    except ValueError:
        raise ValueError(wanted) from None
