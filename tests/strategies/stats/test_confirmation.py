"""Confirmation: lone high scores, successive ones, those above the limit of a lone score, and correlated noise."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.strategies.stats.confirmation import ALMOST, confirmed, confirmed_by_any, needed_score

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


def run_any(scores: list[list[list[float]]], passed: int = STEP) -> list[bool]:
    """Return which scores (n, s) of one model, `passed` ms apart, confirm an earlier one above 2."""
    over = np.zeros((1, 2), np.int64)
    return [
        bool(confirmed_by_any(np.array([each]), np.full((1, 2, 2), 2.0), START + at * passed, np.array([passed]), over))
        for at, each in enumerate(scores)
    ]


UP, OTHER_UP = [[3.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [3.0, 0.0]]
DOWN, QUIET = [[0.0, 3.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]


def test_any_statistic_confirms_a_score_in_the_same_direction() -> None:
    assert run_any([UP, OTHER_UP]) == [False, True]
    assert run_any([UP, DOWN]) == [False, False]
    assert run_any([UP, *[QUIET] * 5, UP]) == [False] * 6 + [True]
    assert run_any([UP, *[QUIET] * 6, UP]) == [False] * 8
    assert run_any([UP, UP], DAY) == [False, True]


def test_correlated_noise_needs_scores_between_those_of_two_and_of_a_lone_one() -> None:
    """The part of a score that the other one explains is the coefficient of determination."""
    lone = np.array([[[5.0, 7.0]]])
    assert needed_score(2.0, lone, np.array([[0.0, 0.0]])).tolist() == [[[2.0, 2.0], [2.0, 2.0]]]
    assert needed_score(2.0, lone, np.array([[1.0, 0.0]])).tolist() == [[[5.0, 7.0], [2.0, 2.0]]]
    assert needed_score(2.0, lone, np.array([[0.5, 0.5]])).tolist() == [[[2.75, 3.25], [2.75, 3.25]]]
