"""EWMA: published run lengths, and the mean by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.detectors import PLAIN, Story, detector, run_lengths

EXAMPLE: dict[str, Any] = {"standardise": {**PLAIN, "level": 0.5, "spread": 0.1, "transform": "none"}, "limit": 3}


@pytest.mark.parametrize(
    ("weight", "limit", "shift", "length"),
    [(0.2, 2.962, 0, 500), (0.2, 2.962, 0.5, 41.8), (0.2, 2.962, 1, 10.5), (0.2, 2.962, 2, 3.7), (0.1, 2.814, 0, 500)],
)
def test_run_lengths_are_the_published_ones(weight: float, limit: float, shift: float, length: float) -> None:
    """Lucas and Saccucci, Technometrics 32 (1990), table 3, for limits that do not move; within 3 % and noise."""
    one = detector("ewma", {"weight": weight, "limit": limit})
    result = run_lengths(one, np.random.default_rng(21), shift, 4000, 10_000)
    assert abs(float(result.mean()) - length) < 4 * float(result.std()) / 63 + 0.03 * length


def test_the_mean_by_hand() -> None:
    """A fifth of what is new; the limit is L times the mean's own standard deviation, a third at 0.2."""
    story = Story("ewma", {"standardise": PLAIN, "weight": 0.2, "limit": 3})
    text = []
    for value in (5.0, 0.0, -5.0):
        assert story.see(value) == ["OK"]
        assert story.verdicts is not None
        text.append(round(float(story.verdicts.statistic[0]), 4))
    assert text == [1.0, 0.8, 0.36]
    assert story.verdicts is not None
    assert story.verdicts.threshold.tolist() == [1.0]
    assert story.see(-5.0) == ["BREACHED"]
    assert story.reason() == "score -5 is 5 robust sigmas below its usual 0 (EWMA 1.288, limit 1)"
