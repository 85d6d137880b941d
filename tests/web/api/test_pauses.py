"""Validation of a pause."""

from __future__ import annotations

import pytest

from bridge.domain.times import DAY, HOUR
from bridge.web.api.pauses import pause_length


@pytest.mark.parametrize(("text", "length"), [("2h", 2 * HOUR), ("30d", 30 * DAY), ("0s", 0)])
def test_a_length_has_the_format_of_prometheus(text: str, length: int) -> None:
    """Zero ends a pause."""
    assert pause_length(text, "shop", "ranking") == pause_length(text, "", "") == length


@pytest.mark.parametrize(
    ("text", "project", "pipeline", "message"),
    [
        ("soon", "", "", "duration: "),
        ("", "", "", "duration: "),
        ("31d", "", "", "at most 30d"),
        ("1h", "", "ranking", "a pipeline needs its project"),
    ],
)
def test_other_pauses_are_refused(text: str, project: str, pipeline: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pause_length(text, project, pipeline)
