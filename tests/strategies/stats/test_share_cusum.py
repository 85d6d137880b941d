"""CUSUMs of an error rate: evidence, overdispersion, and a fallen rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bridge.domain.times import MINUTE
from bridge.strategies.stats.share_cusum import ShareCusum, log_ratios


@pytest.mark.parametrize(("index", "ratio"), [(0, 2.0), (1, 1.3), (2, 0.5)])
def test_log_ratios_are_binomial_likelihood_ratios(index: int, ratio: float) -> None:
    """Compared with scipy, for a multiple of the usual odds."""
    odds = ratio * 0.05 / 0.95
    expected = stats.binom.logpmf(9, 60, odds / (1 + odds)) - stats.binom.logpmf(9, 60, 0.05)
    found = log_ratios(np.array([9.0]), np.array([60.0]), np.array([0.05]))[0, index]
    assert found == pytest.approx(expected, abs=1e-12)


START = 1_700_006_400_000
STEP = 5 * MINUTE


def run(cusum: ShareCusum, own: np.ndarray, shares: list[float], first: int = 0, limit: float = 8.0) -> list[float]:
    """Return the highest CUSUM of each sample of 1000 requests with these shares of errors."""
    totals = []
    passed = np.full(1, STEP)
    for number, share in enumerate(shares, first):
        errors, requests, slot = np.array([1000 * share]), np.array([1000.0]), START + number * STEP
        found = cusum.step(errors, requests, slot, passed, passed, own)
        nothing = np.zeros(1, np.bool_)
        cusum.learn(errors, requests, slot, passed, found, limit, nothing, nothing, own)
        totals.append(float(found.total[0]))
    return totals


def test_a_doubled_rate_adds_up_and_a_usual_one_does_not() -> None:
    cusum = ShareCusum()
    own = np.zeros(1, list(cusum.fields))
    usual = run(cusum, own, [0.05] * 2 * 288)
    assert max(usual[288:]) < 1.0
    doubled = run(cusum, own, [0.1] * 3, 2 * 288)
    assert doubled == sorted(doubled)
    assert doubled[-1] > 8.0


def test_a_restart_clears_the_sums_and_keeps_the_usual_rate() -> None:
    cusum = ShareCusum()
    own = np.zeros(1, list(cusum.fields))
    run(cusum, own, [0.05] * 288 + [0.1] * 3)
    before = own["errors"].copy(), own["requests"].copy()
    cusum.restart(own)
    assert (own["sums"] == 0).all()
    assert (own["errors"], own["requests"]) == before


def test_a_fallen_rate_becomes_the_usual_one() -> None:
    cusum = ShareCusum()
    own = np.zeros(1, list(cusum.fields))
    run(cusum, own, [0.2] * 288)
    run(cusum, own, [0.02] * 288, 288)
    usual = (own["errors"] / own["requests"])[0]
    assert 0.015 < usual < 0.03
