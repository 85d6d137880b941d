"""Retry-After: seconds, or a date in the three formats of RFC 9110; anything else is ignored."""

from __future__ import annotations

import pytest

from bridge.domain.times import HOUR
from bridge.net.retry_after import retry_after

NOW = 784_111_777_000  # Sun, 06 Nov 1994 08:49:37 GMT, the RFC's own example


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", 120_000),
        (" 0 ", 0),
        ("86400", HOUR),
        ("9" * 400, HOUR),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10_000),
        ("Sunday, 06-Nov-94 08:49:47 GMT", 10_000),
        ("Sun Nov  6 08:49:47 1994", 10_000),
        ("Sun, 06 Nov 1994 08:49:27 GMT", 0),
        ("Sun, 06 Nov 2094 08:49:37 GMT", HOUR),
        (None, 0), ("", 0), ("-5", 0), ("1.5", 0), ("soon", 0), ("٣", 0), ("Sun, 99 Nov 1994 08:49:37 GMT", 0),
    ],
)  # fmt: skip
def test_what_a_server_requests(value: str | None, wait: int) -> None:
    """In ms, at most an hour, never an error."""
    assert retry_after(value, NOW) == wait
