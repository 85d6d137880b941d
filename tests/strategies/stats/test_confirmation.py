"""Confirmation: lone high scores, successive ones, and those above the limit of a lone score."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.strategies.stats.confirmation import ALMOST, confirmed

START, STEP = 1_700_006_400_000, 10 * MINUTE


def run(scores: list[float], passed: int = STEP) -> list[float]:
    """Return the confirmed scores of one model, `passed` ms apart, with a limit of 2 and one of 5 for lone scores."""
    over = np.zeros(1, np.int64)
    return [
        float(confirmed(np.array([score]), 2.0, np.array([5.0]), START + at * passed, np.array([passed]), over)[0])
        for at, score in enumerate(scores)
    ]


def test_a_lone_score_counts_only_above_its_own_limit() -> None:
    assert run([1.0, 3.0, 1.0]) == [0.5, ALMOST, 0.5]
    assert run([1.0, 6.0, 1.0]) == [0.5, 3.0, 0.5]


def test_a_second_score_within_an_hour_confirms_the_first() -> None:
    assert run([3.0, 1.0, 3.0]) == [ALMOST, 0.5, 1.5]
    assert run([3.0, *[1.0] * 6, 3.0])[-1] == ALMOST


@pytest.mark.parametrize("passed", [HOUR, DAY])
def test_successive_windows_confirm_each_other_however_long_they_are(passed: int) -> None:
    assert run([3.0, 3.0], passed) == [ALMOST, 1.5]
    assert run([3.0, 1.0, 3.0], passed)[-1] == ALMOST


def test_an_unknown_score_confirms_nothing() -> None:
    assert run([-np.inf, 3.0]) == [-np.inf, ALMOST]
