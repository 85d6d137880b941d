"""CUSUM of the shift: sums by hand, and the first weekend."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.times import DAY
from bridge.strategies.stats.shift import ALLOWANCE, cusum

WEDNESDAY = 1_700_006_400_000  # 15 November 2023, 00:00 UTC


def test_sums_are_those_of_page() -> None:
    """Rises and falls are added up apart, and never fall below 0; an unknown z changes nothing."""
    sums, born = np.zeros((3, 2)), np.full(3, WEDNESDAY)
    cusum(np.array([1.0, -2.0, 0.1]), WEDNESDAY, born, sums)
    shown = cusum(np.array([1.0, 1.0, np.nan]), WEDNESDAY, born, sums)
    expected = [[2 * (1 - ALLOWANCE), 0.0], [1 - ALLOWANCE, 2 - ALLOWANCE - 1 - ALLOWANCE], [0.0, 0.0]]
    assert sums == pytest.approx(np.array(expected))
    assert shown[:2] == pytest.approx(np.array([[2 * (1 - ALLOWANCE), 0.0], [1 - ALLOWANCE, 0.0]]))
    assert np.isnan(shown[2]).all()


def test_a_sum_that_falls_is_no_evidence() -> None:
    """Once the shift is over, a large sum takes hours to fall; an alarm would last as long, and hide the next shift."""
    sums, born = np.zeros((1, 2)), np.full(1, WEDNESDAY)
    shown = [cusum(np.array([z]), WEDNESDAY, born, sums)[0, 0] for z in (4.0, 4.0, 0.2, -1.0, 4.0)]
    assert shown == pytest.approx([3.55, 7.1, 0.0, 0.0, 3 * 3.55 - 0.25 - 1.45])


def test_the_first_weekend_of_a_life_adds_nothing() -> None:
    """Later weekends do."""
    sums, saturday = np.zeros((2, 2)), WEDNESDAY + 3 * DAY
    shown = cusum(np.full(2, 4.0), saturday, np.array([WEDNESDAY, WEDNESDAY - 7 * DAY]), sums)
    assert sums[:, 0].tolist() == [0.0, 4.0 - ALLOWANCE]
    assert np.isnan(shown[0]).all()
