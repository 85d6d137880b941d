"""How long a pause is: the same rules for the API and the page."""

from __future__ import annotations

from bridge.domain.times import DAY, Duration, parse_duration

LONGEST: Duration = 30 * DAY


def pause_length(duration: str, project: str, pipeline: str) -> Duration:
    """The length of a pause of what is named ("" = any), as Prometheus writes it. ValueError says what is right."""
    try:
        length = parse_duration(duration)
    except ValueError as error:
        raise ValueError(f"duration: {error}") from None
    if length > LONGEST:
        raise ValueError("duration: a pause lasts at most 30d; repeat it")
    if pipeline and not project:
        raise ValueError("a pipeline is named with its project")
    return length
