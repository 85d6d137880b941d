"""Readings as text."""

from __future__ import annotations

import pytest

from bridge.cli.readings import limit_text, value_text


@pytest.mark.parametrize(
    ("value", "statistic", "threshold", "texts"),
    [
        (0.30001, 0.30001, 0.5, ("0.3 seconds", "limit 0.5")),
        (0.3, 31.5, 14, ("0.3 seconds", "statistic 31.5, limit 14")),
        (0.3, "NaN", "NaN", ("0.3 seconds", "")),
        (0.3, None, None, ("0.3 seconds", "")),
        (0.3, None, 0.5, ("0.3 seconds", "limit 0.5")),
        ("NaN", "NaN", 0.5, ("", "limit 0.5")),
        (None, None, None, ("", "")),
        ("+Inf", "+Inf", 0.5, ("+Inf seconds", "limit 0.5")),
    ],
)
def test_the_unit_of_the_signal_is_that_of_the_value(
    value: object, statistic: object, threshold: object, texts: tuple[str, str]
) -> None:
    """A statistic has none; a missing number leaves no trace."""
    entry = {"value": value, "statistic": statistic, "threshold": threshold, "unit": "seconds"}
    assert (value_text(entry), limit_text(entry)) == texts
