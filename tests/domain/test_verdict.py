"""Verdict codes, causes and inconclusive batches."""

from __future__ import annotations

import numpy as np

from bridge.domain.verdict import Cause, Code, Verdicts


def test_an_inconclusive_batch_has_one_cause_and_no_numbers() -> None:
    """It has no expected range and no p-values."""
    verdicts = Verdicts.inconclusive(3, Cause.STALE)
    assert len(verdicts) == 3
    assert set(verdicts.code.tolist()) == {Code.INCONCLUSIVE}
    assert set(verdicts.cause.tolist()) == {Cause.STALE}
    assert np.isnan(verdicts.statistic).all()
    assert (verdicts.band(), verdicts.p) == (None, None)


def test_the_word_of_a_cause_is_its_name_in_lower_case() -> None:
    """It is a metric label and part of decisions."""
    assert [cause.word for cause in Cause][:3] == ["none", "no_data", "nan"]


def test_columns_of_inconclusive_verdicts_are_independent() -> None:
    """A strategy that fills in the statistic does not change the limit."""
    verdicts = Verdicts.inconclusive(2, Cause.NAN)
    verdicts.statistic[0] = 1.0
    assert np.isnan(verdicts.threshold).all()
