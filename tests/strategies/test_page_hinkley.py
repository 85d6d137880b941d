"""Page-Hinkley: same changes as river, sample by sample."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from river.drift import PageHinkley

from tests.support.detectors import PLAIN, Story, detector, hits

EXAMPLE: dict[str, Any] = {"standardise": {**PLAIN, "level": 0.5, "spread": 0.1, "transform": "none"}, "min_samples": 2}


@pytest.mark.parametrize(
    ("delta", "threshold", "forget", "least"), [(0.005, 50, 0.9999, 30), (0.5, 14, 0.9999, 30), (0.2, 3, 0.99, 1)]
)
def test_river_finds_the_same_changes(delta: float, threshold: float, forget: float, least: int) -> None:
    """River's defaults, ours, and loose ones; four changes of one or two sigmas in 4,000 samples."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = np.random.default_rng(seed)
    stream = draw.standard_normal(4000) + np.repeat([0.0, 2.0, 1.0, -1.0], 1000)
    theirs = PageHinkley(min_instances=least, delta=delta, threshold=threshold, alpha=forget, mode="both")
    result = []
    for position, value in enumerate(stream.tolist()):
        theirs.update(value)
        if theirs.drift_detected:
            result.append(position)
    params = {"delta": delta, "threshold": threshold, "forget": forget, "min_samples": least}
    assert len(result) >= 3
    assert hits(detector("page_hinkley", params), stream) == result


def test_after_a_change_it_starts_over_and_the_alarm_stays() -> None:
    """The statistic restarts while the signal is still away from its reference."""
    story = Story("page_hinkley", {"standardise": PLAIN})
    for _ in range(30):
        assert story.see(0.0) == ["OK"]
    codes = [story.see(3.0)[0] for _ in range(60)]
    first = codes.index("BREACHED")
    assert first == 6
    assert set(codes[first:]) == {"BREACHED"}
    assert story.reason() == ("score 3 is 3 robust sigmas above its usual 0 (Page-Hinkley 0, limit 14, alarm still on)")
