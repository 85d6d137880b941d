"""Validation of a pause, shared by API and web page."""

from __future__ import annotations

from bridge.domain.times import DAY, Duration, parse_duration

LONGEST: Duration = 30 * DAY


def parse_length(text: str) -> Duration:
    """Return the length of a pause or silence, from Prometheus format. Raises ValueError."""
    length = parse_duration(text)
    if length > LONGEST:
        raise ValueError("at most 30d; extend a pause by setting it again")
    return length


def pause_length(duration: str, project: str, pipeline: str) -> Duration:
    """Return the length of a pause with this scope ("" = any), from Prometheus format. Raises ValueError."""
    try:
        length = parse_length(duration)
    except ValueError as error:
        raise ValueError(f"duration: {error}") from None
    if pipeline and not project:
        raise ValueError("a pipeline needs its project")
    return length
