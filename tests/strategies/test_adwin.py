"""ADWIN: same changes as river, sample by sample; the window drops its oldest samples."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from river.drift import ADWIN

from bridge.strategies import adwin
from tests.support.detectors import PLAIN, Story, detector, hits

EXAMPLE: dict[str, Any] = {"standardise": {**PLAIN, "level": 0.5, "spread": 0.1, "transform": "none"}, "clock": 1}


@pytest.mark.parametrize(("delta", "clock"), [(0.002, 32), (0.002, 8), (0.2, 1)])
def test_river_finds_the_same_changes(delta: float, clock: int) -> None:
    """River's default, ours, and a sensitive one; four changes by a half to two sigmas."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = np.random.default_rng(seed)
    noise = draw.standard_normal(5000) + np.repeat([0.0, 2.0, 1.0, 1.5, 0.0], 1000)
    stream = noise.astype(np.float32).astype(np.float64)
    theirs, found = ADWIN(delta=delta, clock=clock), []
    for index, value in enumerate(stream.tolist()):
        theirs.update(value)
        if theirs.drift_detected:
            found.append(index)
    assert len(found) >= 3
    assert hits(detector("adwin", {"delta": delta, "clock": clock}), stream) == found


def test_the_window_holds_as_much_as_fits() -> None:
    """75 samples with four rows of buckets: sizes, sum and variance are those of the latest ones."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adwin, "ROWS", 4)
        patch.setattr(adwin, "SIZES", 2 ** np.arange(4)[::-1].repeat(adwin.WIDE))
        one = detector("adwin", {"clock": 10**6})
        memory = np.zeros(1, one.state_dtype)["own"].copy()
        stream = np.random.default_rng(seed).standard_normal(1000).astype(np.float32).astype(np.float64)
        for z in stream:
            one.detect(np.array([z]), memory)
    width = int(memory["width"][0])
    latest = stream[-width:]
    assert 60 <= width <= 75
    assert memory["counts"][0].tolist() == [5, 5, 5, 4] or sum(memory["counts"][0] * 2 ** np.arange(4)) == width
    assert float(memory["total"][0]) == pytest.approx(float(latest.sum()), abs=1e-4)
    assert float(memory["variance"][0]) == pytest.approx(float(latest.var() * width), rel=1e-4)


def test_models_that_began_at_different_times_do_not_mix() -> None:
    """Five models, each with gaps of its own, together and alone."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = np.random.default_rng(seed)
    numbers = draw.standard_normal((600, 5)) + np.repeat([0.0, 2.0], 300)[:, None]
    numbers[draw.random(numbers.shape) < 0.2] = np.nan
    params = {"standardise": PLAIN}
    together, alone = Story("adwin", params, 5), [Story("adwin", params) for _ in range(5)]
    codes = [together.see(row) for row in numbers]
    for index, one in enumerate(alone):
        assert [one.see(row[index])[0] for row in numbers] == [row[index] for row in codes]
        assert "BREACHED" in [row[index] for row in codes]


def test_a_reason_names_the_means() -> None:
    """Their difference in sigmas, and its limit."""
    story = Story("adwin", {"standardise": PLAIN})
    for index in range(200):
        story.see(index % 7 / 10 - 0.3)
    while story.see(2.0) == ["OK"]:
        pass
    assert story.reason() == "score 2 is 2 robust sigmas above its usual 0 (ADWIN 2.003, limit 1.195)"
