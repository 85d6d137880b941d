"""Differences in differences, against scipy and against ordinary least squares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bridge.authoring.impact.differences import Change, differences, one_sample, welch
from bridge.authoring.impact.impact import Impact, Tally, sentences


def test_the_intervals_are_those_of_scipy() -> None:
    """One sample, and Welch's with the degrees of freedom rounded down."""
    rng = np.random.default_rng(5)
    for count, other in ((2, 2), (3, 9), (20, 11)):
        one, two = rng.normal(-0.4, 0.3, count).tolist(), rng.normal(0.1, 0.6, other).tolist()
        found = one_sample(one)
        assert found is not None
        wanted = stats.ttest_1samp(one, 0).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-5)
        difference = welch(one, two)
        assert difference is not None
        test = stats.ttest_ind(one, two, equal_var=False)
        reach = stats.t.ppf(0.975, max(1, np.floor(test.df))) * (difference.value / test.statistic)
        assert (difference.low, difference.high) == pytest.approx(
            (difference.value - abs(reach), difference.value + abs(reach)), abs=1e-5
        )


def test_the_estimate_is_the_interaction_of_a_regression() -> None:
    """Value ~ treated + after + treated x after, with one sibling for each retraining (Angrist and Pischke, 5.2)."""
    rng = np.random.default_rng(8)
    rows, pairs = [], []
    for _ in range(12):
        own, sibling = (Change(*rng.normal(1, 0.3, 2).tolist()) for _ in range(2))
        pairs.append((own, [sibling]))
        for treated, change in ((1, own), (0, sibling)):
            rows += [(1, treated, 0, 0, change.before), (1, treated, 1, treated, change.after)]
    table = np.array(rows)
    interaction = np.linalg.lstsq(table[:, :4], table[:, 4], rcond=None)[0][3]
    found = differences(pairs, [])
    assert found.siblings is not None
    assert found.siblings.value == pytest.approx(interaction)
    assert (found.retrainings, found.with_siblings, found.untreated, found.breaches) == (12, 12, 0, None)


def test_what_moves_everybody_is_no_effect_of_retraining() -> None:
    """All signals fall by half; those of retrained models fall by 0.4 more."""
    treated = [(Change(1.2 + i / 10, 0.3 + i / 10), [Change(0.9, 0.4), Change(0.7, 0.2)]) for i in range(5)]
    found = differences(treated, [Change(1.3, 0.8), Change(1.1, 0.6)])
    assert found.siblings is not None
    assert found.breaches is not None
    assert [round(item.value, 9) for item in (found.siblings, found.breaches)] == [-0.4, -0.4]


def test_too_few_retrainings_have_no_interval() -> None:
    """The report says what is missing, and claims nothing."""
    found = differences([(Change(1.0, 0.5), [])], [])
    assert (found.siblings, found.breaches) == (None, None)
    told = sentences(Impact(Tally(), {}, {}, None, None, None, found), "90d")
    assert told[-2].endswith("(0 retrainings with siblings) yet; at least 2 retrainings with siblings are needed.")
    assert told[-1].endswith("without a retraining yet; at least 2 retrainings and 2 such breaches are needed.")
    enough = differences([(Change(1.0, 0.5), [Change(0.4, 0.4)])] * 3, [])
    said = sentences(Impact(Tally(), {}, {}, None, None, None, enough), "90d")
    assert "of siblings (3 retrainings with siblings): -50 % of the limit (95 % interval -50 to -50)." in said[2]
