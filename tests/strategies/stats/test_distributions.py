"""Tail probabilities against scipy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special, stats

from bridge.domain.verdict import Floats
from bridge.strategies.stats import distributions as tails


def test_erfc_is_that_of_scipy() -> None:
    """To 14 digits, as long as it is above the least numbers."""
    x = np.linspace(0, 26, 50_001)
    assert np.abs(tails.erfc(x) / special.erfc(x) - 1).max() < 1e-14


@pytest.mark.parametrize("df", [1, 2, 3, 4, 9, 19, 38, 159])
def test_chi_square_is_that_of_scipy(df: int) -> None:
    """To 12 digits, for even and odd numbers of cells, at 0 and far out."""
    x = np.concatenate([[0.0, 1e-12], np.linspace(0.01, 400, 4001)])
    expected = stats.chi2.sf(x, df)
    result = tails.chi_square(x, np.full(len(x), df))
    assert np.abs(result - expected).max() < 1e-13
    assert np.abs(result / expected - 1).max() < 1e-12


def test_degrees_of_freedom_differ_between_models() -> None:
    """Each element has its own."""
    df = np.array([1, 2, 7, 8, 30])
    result = tails.chi_square(np.full(5, 6.5), df)
    assert np.abs(result - stats.chi2.sf(6.5, df)).max() < 1e-14


def test_kolmogorov_is_that_of_scipy() -> None:
    """On both sides of 1, where two series meet; 1 at 0."""
    x = np.linspace(0, 8, 80_001)
    expected = stats.kstwobign.sf(x)
    result = tails.kolmogorov(x)
    assert np.abs(result - expected).max() < 1e-13
    assert np.abs(result / expected - 1).max() < 1e-12


def test_a_normal_number_is_far_on_either_side() -> None:
    """1.96 is exceeded by one in twenty."""
    z = np.array([0.0, 1.0, 1.959963984540054, 8.0])
    assert np.abs(tails.normal(z) / (2 * stats.norm.sf(z)) - 1).max() < 1e-13


@pytest.mark.parametrize("tail", [tails.erfc, tails.kolmogorov, tails.normal])
def test_nothing_has_no_tail(tail: Callable[[Floats], Floats]) -> None:
    """No models, no error."""
    assert tail(np.empty(0)).tolist() == []
