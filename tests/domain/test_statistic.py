"""Whether a statistic has a scale of its own."""

from __future__ import annotations

import math

import pytest

from bridge.domain.statistic import own_scale


@pytest.mark.parametrize(
    ("value", "statistic", "own"),
    [(0.7, 0.7, False), (0.7, 0.7 + 1e-9, False), (0.7, 31.5, True), (0.0, 0.0, False), (0.0, 2.0, True),
     (math.nan, 31.5, False), (0.7, math.nan, False), (math.inf, math.inf, False)],
)  # fmt: skip
def test_a_statistic_that_differs_has_a_scale_of_its_own(value: float, statistic: float, own: bool) -> None:
    """Rounding is no difference, and without a number nothing is known."""
    assert own_scale(value, statistic) == own
