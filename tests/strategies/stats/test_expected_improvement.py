"""Expected improvements: against the integral, and in the limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import logistic

from bridge.strategies.stats.expected_improvement import expected_improvement


@pytest.mark.parametrize(("now", "level", "spread"), [(0.1, 0.1, 0.05), (0.12, 0.1, 0.1), (0.08, 0.1, 0.6)])
def test_it_is_the_mean_of_the_improvements(now: float, level: float, spread: float) -> None:
    """Draws above the present rate are not kept."""
    draws = logistic(loc=level, scale=spread * level)
    integral, _ = quad(lambda x: (now - x) * draws.pdf(x), level - 40 * spread * level, now)
    assert expected_improvement(np.array([now]), np.array([level]), spread)[0] == pytest.approx(integral, rel=1e-6)


def test_far_above_the_level_it_is_the_distance_and_far_below_it_nothing() -> None:
    """Also for a level of 0."""
    found = expected_improvement(np.array([0.5, 0.01, 0.2, 0.0]), np.array([0.1, 0.1, 0.0, 0.0]), 0.03)
    assert found.tolist() == pytest.approx([0.4, 0.0, 0.2, 0.0], abs=1e-6)
