"""KSWIN: the test against scipy, the changes against river."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from river.drift import KSWIN
from scipy.stats import ks_2samp

from bridge.domain.rule import StrategySpec
from bridge.strategies.kswin import critical
from bridge.strategies.registry import build
from tests.support.detectors import PLAIN, Story, detector, hits

EXAMPLE: dict[str, Any] = {
    "standardise": {**PLAIN, "level": 0.5, "spread": 0.1, "transform": "none"},
    "window": 10, "recent": 5, "alpha": 0.05,
}  # fmt: skip


def rounded(numbers: np.ndarray) -> np.ndarray:
    """To 1/64, so that there are ties, and every number is exact in 32 bits."""
    return np.round(numbers * 64) / 64


@pytest.mark.parametrize(("window", "recent"), [(60, 30), (100, 50)])
def test_river_finds_the_same_changes(window: int, recent: int) -> None:
    """Both parts have equal size, so river draws all earlier samples; river drops the latest ones
    after a change, which are given to it again."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = np.random.default_rng(seed)
    stream = rounded(draw.standard_normal(3000) * np.repeat([1, 1, 3], 1000) + np.repeat([0.0, 3.0, -3.0], 1000))
    theirs, found = KSWIN(alpha=1e-4, window_size=window, stat_size=recent, seed=1), []
    for index, value in enumerate(stream.tolist()):
        theirs.update(value)
        if theirs.drift_detected:
            found.append(index)
            latest = stream[index - recent + 1 : index + 1].tolist()
            theirs = KSWIN(alpha=1e-4, window_size=window, stat_size=recent, seed=1, window=latest)
    assert len(found) >= 2
    assert hits(detector("kswin", {"window": window, "recent": recent, "alpha": 1e-4}), stream) == found


def test_the_distance_is_that_of_scipy() -> None:
    """70 earlier and 30 latest samples with ties, of 200 models at once; and its limit is where scipy's p is alpha."""
    draw = np.random.default_rng(25)
    numbers = rounded(draw.standard_normal((100, 200)))
    numbers[70:] += draw.choice([0.0, 1.0, -1.5], 200)
    one = detector("kswin", {"alpha": 1e-4})
    memory = np.zeros(200, one.state_dtype)["own"].copy()
    for row in numbers:
        found = one.detect(row, memory)
    tests = [ks_2samp(numbers[:70, index], numbers[70:, index], method="exact") for index in range(200)]
    assert np.allclose(found.statistic, [test.statistic for test in tests], rtol=0, atol=1e-12)
    assert found.hit.tolist() == [bool(test.pvalue <= 1e-4) for test in tests]
    assert 20 < int(found.hit.sum()) < 180
    up = found.hit & (numbers[70:].mean(axis=0) > 0.5)
    assert set(found.side[up].tolist()) == {1}
    assert set(found.side[found.hit & ~up].tolist()) == {-1}


def test_limits_are_those_of_the_exact_distribution() -> None:
    """Smirnov's table for equal sizes: of 10 and 10, 0.7 at 1 % (0.6 has 5.2 %); of 5 and 5 nothing is as rare."""
    assert critical(10, 10, 0.05) == 70
    assert critical(10, 10, 0.06) == 60
    assert critical(5, 5, 0.01) == 25
    assert critical(5, 5, 0.001) is None
    assert critical(70, 30, 1e-4) == 990


def test_a_wider_spread_around_the_same_level_is_found() -> None:
    """A detector of the mean misses this."""
    draw = np.random.default_rng(26)
    stream = np.concatenate([draw.standard_normal(200), draw.choice([-4.0, 4.0], 60)])
    found = hits(detector("kswin", {"alpha": 1e-4}), stream)
    assert len(found) >= 1
    assert 205 <= found[0] <= 240


def test_samples_that_cannot_show_anything_are_refused() -> None:
    """Five of ten samples cannot reach alpha 1e-5."""
    with pytest.raises(ValidationError, match=r"alpha 1e-05 cannot be reached with 5 of 10 samples"):
        build(StrategySpec("kswin", {"window": 10, "recent": 5}))
    with pytest.raises(ValidationError, match="must leave five samples"):
        build(StrategySpec("kswin", {"window": 50, "recent": 46}))


def test_a_reason_names_the_distance() -> None:
    """Distance, limit, and the value beside its usual level."""
    story = Story("kswin", {"standardise": PLAIN, "alpha": 1e-4})
    for index in range(100):
        story.see(index % 7 / 10)
    while story.see(2.0) == ["OK"]:
        pass
    assert story.reason() == "score 2 is 2 robust sigmas above its usual 0 (KS distance 0.5, limit 0.4712)"
