"""Behaviour shared by all detectors: reasons, and independence of models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.domain.verdict import Verdicts
from bridge.strategies.detector import in_unit
from tests.support.detectors import PLAIN, START, Story

NAMES = ("seasonal_cusum", "ewma", "page_hinkley", "kswin", "adwin")


def of(event: EventKind, unit_ms: float = 1.0) -> EventBatch:
    """A batch without models."""
    return EventBatch("x", event, START, Story("ewma", {}).table, np.zeros(0, np.int32), {}, unit_ms=unit_ms)


def test_numbers_have_few_digits() -> None:
    """Latencies in ms or s, whatever the signal's unit is; error rates in per cent."""
    assert in_unit(0.2121, of(EventKind.LATENCY, 1000)) == "212.1 ms"
    assert in_unit(212_100, of(EventKind.LATENCY, 0.001)) == "212.1 ms"
    assert in_unit(12.5, of(EventKind.LATENCY, 1000)) == "12.5 s"
    assert in_unit(0.0213, of(EventKind.INFERENCE_ERROR)) == "2.13 %"
    assert in_unit(0.7021, of(EventKind.DRIFT)) == "0.7021"


@pytest.mark.parametrize(
    ("standardise", "when"),
    [
        ({"reference": "version", "warm_up": "1h"}, " since its version began ("),
        ({"reference": "sliding", "warm_up": "1h", "window": "2d"}, " of the last 2d ("),
        ({"season": "day", "warm_up": "1h"}, " for 02:30 ("),
        ({"season": "day", "warm_up": "1h", "time_zone": "Asia/Kolkata"}, " for 08:00 ("),
        ({"season": "week", "warm_up": "1h"}, " for Thursday 02:30 ("),
    ],
)
def test_a_reason_has_the_usual_level_and_its_season(standardise: dict[str, Any], when: str) -> None:
    """By the kind of reference, in its time zone."""
    story = Story("seasonal_cusum", {"standardise": standardise}, step=30 * MINUTE)
    for index in range(8 * 48):
        story.see(100.0 + index % 2)
    for _ in range(5):
        story.see(120.0)
    assert story.reason().startswith("score 120 is ")
    assert when in story.reason()


def test_a_reason_of_verdicts_that_came_from_elsewhere_has_no_usual_level() -> None:
    """Copied verdicts carry only their numbers."""
    story = Story("ewma", {"standardise": PLAIN})
    story.see(1.5)
    assert story.batch is not None
    assert story.verdicts is not None
    plain = Verdicts(*(getattr(story.verdicts, name) for name in ("code", "cause", "statistic", "threshold")))
    assert story.detector.describe(story.batch, 0, plain) == "score 1.5 (EWMA 0.075, limit 0.7366)"


@pytest.mark.parametrize("name", NAMES)
def test_models_in_one_batch_do_not_mix(name: str) -> None:
    """Twelve models with gaps, waves and shifts, some still warming up: as each by itself, to the last bit."""
    draw = np.random.default_rng(23)
    params: dict[str, Any] = {"standardise": {"season": "day", "warm_up": "4h"}}
    quicker = {"kswin": {"window": 20, "recent": 8, "alpha": 0.01}, "ewma": {"limit": 3}, "adwin": {"delta": 0.2}}
    params |= quicker.get(name, {})  # type: ignore[call-overload]
    step = 20 * MINUTE
    together, alone = Story(name, params, 12, step=step), [Story(name, params, step=step) for _ in range(12)]
    numbers = 10 + draw.standard_normal((4 * 72, 12)) + 2 * np.sin(2 * np.pi * np.arange(4 * 72) / 72)[:, None]
    numbers[150:220, ::3] += 8
    numbers[draw.random(numbers.shape) < 0.1] = np.nan
    codes = np.array([together.see(row) for row in numbers])
    for index, one in enumerate(alone):
        assert [one.see(value)[0] for value in numbers[:, index].tolist()] == codes[:, index].tolist()
    assert together.state is not None
    assert together.state.tobytes() == b"".join(one.state.tobytes() for one in alone if one.state is not None)
    assert {"WARMING_UP", "OK", "NAN", "BREACHED"} <= set(codes.ravel().tolist())


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_is_found_and_its_end_is(name: str) -> None:
    """Three sigmas for a day, five days after a calm start; an hour or two after its end all alarms are off again."""
    draw = np.random.default_rng(29)
    story = Story(name, {"standardise": {"reference": "version"}}, 30)
    text = {}
    for index in range(7 * 288):
        shifted = 5 * 288 <= index < 6 * 288
        codes = story.see(50 + draw.standard_normal(30) + 3 * shifted)
        if index in {5 * 288 - 1, 5 * 288 + 60, 6 * 288 - 1, 6 * 288 + 60}:
            text[index] = codes.count("BREACHED")
    calm, result, last, over = (text[index] for index in sorted(text))
    assert (calm, result, last) == (0, 30, 30)
    assert over <= 1
    assert story.slot - START == 7 * DAY
    assert 60 * story.step == 5 * HOUR
