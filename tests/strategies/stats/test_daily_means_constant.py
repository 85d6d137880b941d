"""Daily means of signals that were constant, and of those whose days come to differ more."""

from __future__ import annotations

import numpy as np

from bridge.domain.times import DAY
from bridge.strategies.stats.daily_means import FEWEST, GUARD, known_from
from tests.strategies.stats.test_daily_means import START, Days, usual


def test_days_that_differ_more_for_good_become_usual() -> None:
    """A hundred times as much from the fifteenth day on: at first nearly all are beyond the limit, soon few."""
    draw, days = np.random.default_rng(93), Days(200)
    for _ in range(15):
        days.see(draw.normal(10, 0.1, 200))
    far = np.array([np.abs(days.see(draw.normal(10, 10, 200))) >= 1 for _ in range(20)]).mean(axis=1)
    print(far)
    assert far[1] > 0.9
    assert (far[10:] < 0.3).all()


def test_the_first_day_after_constant_ones_is_not_judged_but_learnt() -> None:
    """After ten equal days, six others are learnt, each GUARD days later; the next are judged by these alone."""
    days = Days()
    scores = days.run([10.0] * 10 + usual(20))
    first = 10 + FEWEST - 1 + GUARD
    assert np.isnan(scores[10:first]).all()
    assert not np.isnan(scores[first:]).any()
    assert np.abs(scores[first:]).max() < 1


def test_constant_days_are_known_days() -> None:
    """So that a page does not announce slow changes for a later day again and again."""
    days = Days()
    days.run([10.0] * 12)
    assert known_from(days.own[0], int(days.born[0]), START + 12 * DAY) == 0
