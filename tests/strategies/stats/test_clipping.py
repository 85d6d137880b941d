"""Bound of what an outlier teaches: after noise, and after constant samples."""

from __future__ import annotations

import numpy as np

from bridge.strategies.stats.clipping import bound


def test_a_known_bound_holds_on_both_sides() -> None:
    most = np.array([3.0, 3.0, 1e-5])
    assert bound(most, np.array([100.0, -100.0, 9.0]), np.ones(3, np.bool_)).tolist() == most.tolist()


def test_constant_samples_bound_nothing() -> None:
    """0, and what rounding leaves of it: otherwise such a bound would never grow."""
    most = np.array([0.0, 0.0, 1e-17, 1e-17])
    assert np.isinf(bound(most, np.array([0.0, 2.0, 2.0, -2.0]), np.ones(4, np.bool_))).all()


def test_a_bound_that_is_not_known_yet_is_infinite() -> None:
    assert np.isinf(bound(np.ones(2), np.array([5.0, -5.0]), np.zeros(2, np.bool_))).all()
