"""False discovery rate control, compared with scipy and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, norm

from bridge.domain.discovery import discoveries


@pytest.mark.parametrize("size", [1, 2, 7, 100, 5000])
def test_the_accepted_hypotheses_are_those_of_scipy(size: int) -> None:
    """Over random p-values with and without ties, some of them tiny; seed 4."""
    rng = np.random.default_rng(4)
    for _ in range(50):
        p = rng.random(size) ** rng.integers(1, 6)
        p = np.round(p, 3) if rng.random() < 0.5 else p
        for rate in (0.01, 0.05, 0.2):
            assert (discoveries(p, rate) == (false_discovery_control(p) <= rate)).all()


def test_an_unknown_p_value_counts_as_a_test_and_is_never_rejected() -> None:
    """0.02 among two tests is significant at 5 %; with a third test of unknown p it is not."""
    assert discoveries(np.array([0.02, 0.9]), 0.05).tolist() == [True, False]
    assert discoveries(np.array([0.02, 0.9, np.nan]), 0.05).tolist() == [False, False, False]
    assert discoveries(np.array([]), 0.05).tolist() == []


def test_evidence_is_accepted_by_its_own_rule() -> None:
    """e-BH: the k greatest e-values are significant if the k-th is at least m / (k rate)."""
    rng = np.random.default_rng(6)
    for _ in range(200):
        e = np.exp(rng.exponential(3, 40))
        ranked = np.sort(e)[::-1]
        fits = np.flatnonzero(ranked >= 40 / (np.arange(1, 41) * 0.05))
        least = ranked[fits[-1]] if len(fits) else np.inf
        assert (discoveries(1 / e, 0.05) == (e >= least)).all()


def test_of_5000_models_with_100_drifting_at_most_5_percent_of_the_alarms_are_false() -> None:
    """On average over 200 slots; a raw 0.05 alarms for some 245 healthy ones in each; seed 1."""
    rng = np.random.default_rng(1)
    shares, raw, discovered = [], [], []
    for _ in range(200):
        p = norm.sf(rng.normal(size=5000) + np.where(np.arange(5000) < 100, 4.0, 0.0))
        believed = discoveries(p, 0.05)
        shares.append(believed[100:].sum() / max(1, believed.sum()))
        raw.append((p[100:] <= 0.05).sum())
        discovered.append(believed[:100].sum())
    assert np.mean(shares) <= 0.052  # 0.05, and twice the standard error of the mean
    assert np.mean(shares) == pytest.approx(0.049, abs=0.003)
    assert np.mean(raw) == pytest.approx(245, abs=5)
    assert np.mean(discovered) == pytest.approx(80.7, abs=1)
