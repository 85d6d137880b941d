"""Times as written on a command line."""

from __future__ import annotations

import pytest

from bridge.authoring.backtest.time_argument import parse_time
from bridge.domain.times import DAY, HOUR


def test_formats_of_instants() -> None:
    """RFC 3339, Unix seconds, now, and before now."""
    assert parse_time("2023-11-14T22:13:20Z", 5) == 1_700_000_000_000
    assert parse_time("1700000000.5", 5) == 1_700_000_000_500
    assert (parse_time("now", 5 * DAY), parse_time("now-1d12h", 5 * DAY)) == (5 * DAY, 3 * DAY + 12 * HOUR)


@pytest.mark.parametrize("text", ["", "yesterday", "now+1d", "now-", "2023-11-14T22:13:20", "-5", "1e9"])
def test_other_texts_are_errors(text: str) -> None:
    """The message lists the accepted formats."""
    with pytest.raises(ValueError, match="is not a time; use RFC 3339"):
        parse_time(text, 5)
