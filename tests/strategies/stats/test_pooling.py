"""Pooling over siblings: the predictive mean and variance of another one, and who counts as a sibling."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bridge.strategies.auto import AutoConfig, AutoStrategy
from bridge.strategies.auto_verdicts import RESIDUAL_INDEX
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.pooling import FEWEST, GROWN, grown, pool
from bridge.strategies.stats.scale import LOGIT, UNCHANGED
from bridge.strategies.stats.seasonal_baseline import ALL_HOURS, MAD

STRATEGY = AutoStrategy(AutoConfig())


def siblings(count: int = 5, seed: int = 1) -> StateColumn:
    """Return states of siblings with equal profiles and noise, and peaks that differ."""
    state = STRATEGY.new_state(count)
    assert state is not None
    draw = np.random.default_rng(seed)
    habits, extremes = state["habits"], state["extremes"]
    habits["day"] = 10 + np.sin(2 * np.pi * np.arange(24) / 24) + draw.normal(0, 5, (count, 1))
    habits["seen"], habits["count"] = ALL_HOURS, 5000
    habits["variance"], habits["product"] = 4.0, 2.0
    habits["noise"] = habits["spread"] = 2 / MAD
    extremes["days"], extremes["hours"] = GROWN + 2, 48
    extremes["mean"] = draw.normal(6, 1, extremes["mean"].shape)
    extremes["spread"] = 0.5
    state["habits"], state["extremes"] = habits, extremes
    return state


def test_peaks_are_those_expected_of_another_sibling() -> None:
    """The predictive variance of one more number: that of siblings times 1 + 1 / k, and that of days."""
    former = siblings()
    new = pool(former, RESIDUAL_INDEX)
    peaks = former["extremes"]["mean"]
    assert np.allclose(new["extremes"]["mean"][0], peaks.mean(axis=0))
    assert np.allclose(new["extremes"]["spread"][0] ** 2, 0.25 + peaks.var(axis=0, ddof=1) * 1.2, rtol=1e-5)
    assert (new["extremes"]["days"] == GROWN + 2).all()


def test_equal_profiles_give_their_noise_whatever_the_levels() -> None:
    new = pool(siblings(), RESIDUAL_INDEX)["habits"][0]
    wave = new["day"] - new["day"].mean()
    assert np.allclose(wave, np.sin(2 * np.pi * np.arange(24) / 24), atol=1e-5)
    assert new["variance"] == pytest.approx(4.0, rel=1e-6)
    assert new["noise"] * MAD == pytest.approx(2.0, rel=1e-6)


def test_profiles_that_differ_widen_the_noise_and_the_peaks_of_the_residual_alone() -> None:
    """The correlation of neighbours stays the same."""
    former = siblings()
    same = pool(former, RESIDUAL_INDEX)
    habits = former["habits"]
    habits["day"] *= np.array([0.8, 0.9, 1.0, 1.1, 1.2])[:, None]
    former["habits"] = habits
    profiles = habits["day"].astype(float) - habits["day"].mean(axis=1, keepdims=True)
    apart = math.sqrt(float((profiles.var(axis=0, ddof=1) * 1.2).mean()))
    new = pool(former, RESIDUAL_INDEX)
    assert new["habits"]["noise"][0] * MAD == pytest.approx(math.hypot(2.0, apart), rel=1e-4)
    assert new["habits"]["product"][0] / new["habits"]["variance"][0] == pytest.approx(0.5)
    wider, narrow = new["extremes"]["spread"][0], same["extremes"]["spread"][0]
    assert np.allclose(wider[RESIDUAL_INDEX], np.hypot(narrow[RESIDUAL_INDEX], apart), rtol=1e-4)
    assert np.allclose(wider[:RESIDUAL_INDEX], narrow[:RESIDUAL_INDEX])


@pytest.mark.parametrize(("name", "factor"), [("noise", 2.0), ("noise", 0.5), ("noise", 0.0), ("day", 30.0)])
def test_siblings_that_differ_much_teach_nothing(name: str, factor: float) -> None:
    """In the noise of one of them, or in the daily wave."""
    former = siblings()
    habits = former["habits"]
    habits[name][0] *= factor
    former["habits"] = habits
    new = pool(former, RESIDUAL_INDEX)
    assert new.tobytes() == bytes(len(new.tobytes()))


def test_few_young_and_counted_siblings_teach_nothing() -> None:
    former = siblings()
    assert grown(former).all()
    former["extremes"]["days"][0] = GROWN - 1
    former["habits"]["seen"][1] ^= 1 << 5
    former["shares"]["lived"][2] = 1
    assert grown(former).tolist() == [False, False, False, True, True]
    few = pool(former[: FEWEST - 1], RESIDUAL_INDEX)
    assert few.tobytes() == bytes(len(few.tobytes()))


def test_siblings_on_different_scales_teach_nothing() -> None:
    former = siblings()
    former["scale"] = [LOGIT, LOGIT, UNCHANGED, LOGIT, LOGIT]
    assert not pool(former, RESIDUAL_INDEX)["habits"]["count"].any()
    former["scale"] = LOGIT
    assert pool(former, RESIDUAL_INDEX)["scale"].tolist() == [LOGIT]
