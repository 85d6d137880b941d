"""CUSUM: published run lengths, episodes by hand, and reasons."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bridge.domain.batch import EventKind
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.strategies.registry import build
from bridge.strategies.seasonal_cusum import same_run_length
from tests.support.detectors import PLAIN, Story, detector, run_lengths

EXAMPLE: dict[str, Any] = {"standardise": {**PLAIN, "level": 0.5, "spread": 0.1, "transform": "none"}, "h": 4}
BARE: dict[str, Any] = {"standardise": PLAIN, "h": 4}
NAN = float("nan")


@pytest.mark.parametrize(
    ("h", "shift", "length"),
    [(4, 0, 168), (4, 0.5, 26.6), (4, 1, 8.38), (4, 2, 3.34), (5, 0, 465), (5, 1, 10.4), (5, 2, 4.01)],
)
def test_run_lengths_are_the_published_ones(h: float, shift: float, length: float) -> None:
    """Montgomery, Introduction to Statistical Quality Control, table 9.3: both sides, k = 0.5."""
    result = run_lengths(detector("seasonal_cusum", {"h": h}), np.random.default_rng(21), shift, 4000, 10_000)
    assert abs(float(result.mean()) - length) < 4 * float(result.std()) / 63 + 0.005 * length


def test_one_side_alone_has_twice_the_run_length() -> None:
    """336 samples at h = 4, for a signal of which only rises count."""
    one = detector("seasonal_cusum", {"h": 4})
    result = run_lengths(one, np.random.default_rng(22), 0, 4000, 10_000, side=1)
    assert abs(float(result.mean()) - 336) < 4 * float(result.std()) / 63 + 2


def test_the_sums_by_hand() -> None:
    """Each sample adds its deviation beyond 0.5; the sum never falls below 0."""
    story = Story("seasonal_cusum", BARE)
    text = []
    for value in (1.0, 2.0, -1.0, 2.0, 1.5, 1.5):
        story.see(value)
        assert story.verdicts is not None
        text.append(round(float(story.verdicts.statistic[0]), 4))
    assert text == [0.5, 2.0, 0.5, 2.0, 3.0, 4.0]
    assert story.see(0.75) == ["BREACHED"]


def test_an_alarm_lasts_until_the_signal_is_back() -> None:
    """Both the sum and the mean of recent deviations must be back; then the next change is a new alarm."""
    story = Story("seasonal_cusum", BARE)
    assert [story.see(3.0)[0] for _ in range(3)] == ["OK", "BREACHED", "BREACHED"]
    codes = [story.see(0.0)[0] for _ in range(30)]
    assert codes == ["BREACHED"] * 6 + ["OK"] * 24
    assert [story.see(-3.0)[0] for _ in range(2)] == ["OK", "BREACHED"]


def test_an_alarm_lasts_while_the_signal_stays_away_though_the_sum_forgets() -> None:
    """0.6 sigmas from the level neither raises the sum much nor ends the alarm."""
    story = Story("seasonal_cusum", {**BARE, "k": 0.7})
    for _ in range(4):
        story.see(3.0)
    codes = [story.see(0.6)[0] for _ in range(500)]
    assert set(codes) == {"BREACHED"}
    assert story.verdicts is not None
    assert float(story.verdicts.statistic[0]) == 0.0


@pytest.mark.parametrize(
    ("event", "side", "value", "code"),
    [
        (EventKind.LATENCY, None, 0.01, "OK"),
        (EventKind.LATENCY, None, 100.0, "BREACHED"),
        (EventKind.LATENCY, "both", 0.01, "BREACHED"),
        (EventKind.CUSTOM, None, -9.0, "BREACHED"),
        (EventKind.CUSTOM, "up", -9.0, "OK"),
        (EventKind.CUSTOM, "down", -9.0, "BREACHED"),
        (EventKind.CUSTOM, "down", 9.0, "OK"),
    ],
)
def test_only_changes_for_the_worse_count(event: EventKind, side: str | None, value: float, code: str) -> None:
    """A falling latency requests no retraining; for a custom signal the bad direction is unknown."""
    level = 1.0 if event is EventKind.LATENCY else 0.0
    params = {"standardise": {**PLAIN, "level": level}, "h": 4, **({} if side is None else {"side": side})}
    story = Story("seasonal_cusum", params, event=event)
    assert [story.see(value) for _ in range(3)][-1] == [code]


def test_not_knowing_changes_nothing() -> None:
    """A missing sample neither raises nor clears an alarm, and the sum stays."""
    story = Story("seasonal_cusum", BARE, models=2)
    story.see(3.0, 3.0)
    assert story.see(NAN, 3.0) == ["NAN", "BREACHED"]
    assert story.see(3.0, NAN) == ["BREACHED", "NAN"]
    assert story.see(NAN, 0.0) == ["NAN", "BREACHED"]


def weeks(story: Story, draw: np.random.Generator, length: int, models: int, factor: float = 1.0) -> list[list[str]]:
    """A latency that follows the day and the week, times `factor`."""
    result = []
    for _ in range(length // story.step):
        slot = story.slot + story.step
        wave = 0.3 * np.sin(2 * np.pi * slot / DAY) + 0.2 * np.sin(2 * np.pi * slot / (7 * DAY))
        result.append(story.see(0.2 * factor * np.exp(wave + 0.05 * draw.standard_normal(models))))
    return result


def test_a_rise_that_the_daily_wave_hides_is_found() -> None:
    """+20 % on a p95 that swings by 35 % every day, and over the week: within two hours; before, only by chance.

    Of 37,440 samples of ten models without a rise, 0.04 to 0.07 start a false alarm on average.
    """
    draw, story = np.random.default_rng(23), Story(
        "seasonal_cusum", {}, 10, event=EventKind.LATENCY, signal="latency p95", unit_ms=1000
    )  # fmt: skip
    first = weeks(story, draw, 7 * DAY + 12 * HOUR, 10)
    assert {code for codes in first for code in codes} == {"WARMING_UP"}
    weeks(story, draw, DAY + 12 * HOUR, 10)
    quiet = weeks(story, draw, 13 * DAY, 10)
    counts = Counter(code for codes in quiet for code in codes)
    assert set(counts) <= {"OK", "BREACHED"}
    assert counts["BREACHED"] < 0.01 * counts["OK"]
    codes = weeks(story, draw, 2 * HOUR, 10, 1.2)
    assert codes[-1] == ["BREACHED"] * 10
    assert codes[0].count("OK") >= 8


def test_a_reason_is_in_the_unit_of_the_signal() -> None:
    """Value, distance, usual level with its hour, and the sum beside its limit."""
    story = Story("seasonal_cusum", {"standardise": {"season": "day"}}, event=EventKind.LATENCY,
                  signal="p95", unit_ms=1000, step=30 * MINUTE)  # fmt: skip
    for index in range(3 * 48):
        story.see(0.2 if index % 2 else 0.202)
    for _ in range(5):
        story.see(0.212)
    assert story.reason() == (
        "latency p95 212 ms is 5 robust sigmas above its usual 201 ms for 02:30 (CUSUM 16.94, limit 12)"
    )


def test_limits_have_to_be_positive() -> None:
    """A rule that could never, or always, fire is refused."""
    for params in ({"k": 0}, {"h": -1}, {"side": "left"}, {"standardise": {"reference": "fixed"}}):
        with pytest.raises(ValidationError):
            build(StrategySpec("seasonal_cusum", params))


def test_limits_of_slower_sums_give_the_same_run_length() -> None:
    """Siegmund's approximation, inverted: the limit itself, and others computed by hand to two digits."""
    result = same_run_length(0.5, 12.0, np.array([0.5, 0.25, 0.1]))
    assert result == pytest.approx([12.0, 22.39, 48.57], abs=0.01)
    for k, h in zip((0.5, 0.25, 0.1), result.tolist(), strict=True):
        x = 2 * k * (h + 1.166)
        assert (np.exp(x) - x - 1) / (2 * k * k) == pytest.approx(1_044_000, rel=0.01)


def test_a_shift_that_whitening_hides_is_found_all_the_same() -> None:
    """Two sigmas of an AR(0.9) signal are 0.46 after whitening: below the allowance, but detected within a day."""
    draw, story = np.random.default_rng(17), Story("seasonal_cusum", {"standardise": {"reference": "version"}}, 20)
    noise = draw.standard_normal(20)
    codes = []
    for index in range(9 * 288):
        noise = 0.9 * noise + np.sqrt(0.19) * draw.standard_normal(20)
        codes.append(story.see(100 + noise + (2.0 if index >= 8 * 288 else 0.0)))
    assert {code for row in codes[288 : 8 * 288] for code in row} == {"OK"}
    assert codes[-1].count("BREACHED") >= 15
