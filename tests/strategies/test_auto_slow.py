"""auto: slow changes, which show in the means of days."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.draws import ar1
from bridge.domain.batch import EventKind
from bridge.domain.times import HOUR, MINUTE
from bridge.domain.verdict import Floats
from tests.strategies.test_auto import START, Story, course

DAY = 288  # samples


def test_a_latency_that_rises_over_five_days_is_found_before_it_has_risen_by_half() -> None:
    """The level follows such a rise, and no value or change of it is unusual."""
    story, values = Story(EventKind.LATENCY), course(19, 61, sigma=0.2)
    values[14 * DAY :] *= np.exp(np.linspace(0, 0.4, 5 * DAY))
    begins = story.run(values[: 14 * DAY])
    assert begins == []
    reason = ""
    for value in values[14 * DAY :]:
        if story.see(value=value) == ["BREACHED"]:
            reason = story.reason()
            break
    assert "; its mean over a day rose above the " in reason
    assert " of recent weeks (" in reason
    assert reason.endswith(" times as far as the limit)")


def weekend(days: int, seed: int, models: int) -> Floats:
    """Return latencies (days * 96, models) in seconds that are lower on two days of seven, with AR(0.5) noise."""
    draw, count = np.random.default_rng(seed), days * 96
    week = np.where(np.arange(count) // 96 % 7 >= 5, -0.3, 0.0)
    return np.asarray(0.2 * np.exp(week[:, None] + 0.15 * ar1(draw, (count, models), 0.5)))


def test_a_slow_rise_of_a_latency_that_is_lower_on_weekends_is_found() -> None:
    """By a quarter over eight days, which is less than the weekly rhythm."""
    values, found = weekend(26, 67, 20), np.zeros(20, np.bool_)
    values[17 * 96 :] *= np.exp(np.minimum(np.arange(9 * 96) / (8 * 96), 1) * 0.22)[:, None]
    story = Story(EventKind.LATENCY, 20, 15 * MINUTE)
    for at, value in enumerate(values):
        codes = story.see(value=value)
        found |= np.array([at >= 17 * 96 and code == "BREACHED" for code in codes])
    assert found.mean() >= 0.9


def test_a_healthy_latency_that_is_lower_on_weekends_raises_no_alarm() -> None:
    """Seven weeks of five models."""
    story = Story(EventKind.LATENCY, 5, 15 * MINUTE)
    for value in weekend(49, 68, 5):
        story.see(value=value)
    assert story.state is not None
    assert (story.state["days"]["weekdays"]["weeks"] >= 3).all()
    assert story.state["loud"].tolist() == [0] * 5


@pytest.mark.parametrize(("side", "found"), [("up", False), ("down", True), ("both", True)])
def test_a_slow_fall_counts_only_where_falls_count(side: str, found: bool) -> None:
    draw, level = np.random.default_rng(62), np.concatenate([np.full(12 * DAY, 10.0), np.linspace(10, 9, 5 * DAY)])
    begins = Story(side=side).run(level + draw.normal(0, 1, len(level)))
    assert any(begin >= 12 * DAY for begin in begins) == found


def test_a_slow_rise_of_an_error_rate_is_found() -> None:
    """From 2 to 3 % over five days, at 50 requests per window: the usual rate of a day follows it."""
    draw, story, codes = np.random.default_rng(63), Story(EventKind.INFERENCE_ERROR), []
    reasons = set()
    rates = np.concatenate([np.full(12 * DAY, 0.02), np.linspace(0.02, 0.03, 5 * DAY), np.full(DAY, 0.03)])
    for rate in rates:
        codes += story.see(errors=draw.binomial(50, rate), total=50)
        if codes[-1] == "BREACHED":
            reasons.add(story.reason().split("; ")[-1])
    assert "BREACHED" not in codes[: 12 * DAY]
    assert any(reason.startswith("its mean over a day rose above the ") for reason in reasons)


def test_a_dip_for_the_better_raises_no_alarm_when_it_ends() -> None:
    """Two days of half the latency are not the new reference."""
    story, values = Story(EventKind.LATENCY), course(21, 64)
    values[12 * DAY : 14 * DAY] *= 0.5
    assert [begin for begin in story.run(values) if begin >= 14 * DAY] == []


def test_a_new_version_is_compared_with_its_own_first_days() -> None:
    """It is slower for good, which is no slow change; when it gets slower still over days, it is found."""
    story = Story(EventKind.LATENCY)
    story.run(course(10, 65, sigma=0.2))
    assert story.state is not None
    later = Story(EventKind.LATENCY)
    later.slot, later.state = story.slot, story.strategy.successor(story.state)
    values = 1.5 * course(9, 66, sigma=0.2)
    values[3 * DAY :] *= np.exp(np.linspace(0, 0.5, 6 * DAY))
    begins = later.run(values)
    assert begins
    assert min(begins) >= 3 * DAY


@pytest.mark.parametrize("columns", [{"value": 5.0}, {"errors": 2.0, "total": 100.0}])
@pytest.mark.parametrize("late", [2 * HOUR, -20 * MINUTE])
def test_days_of_a_job_that_starts_at_varying_times_are_kept_apart(columns: dict[str, float], late: int) -> None:
    """A gap counts as an hour of observation, but it may hold the end of a day. The first day is none."""
    story = Story(EventKind.INFERENCE_ERROR if "errors" in columns else EventKind.CUSTOM)
    for day in range(10):
        story.slot = START + day * 24 * HOUR + 12 * HOUR + (day % 2) * late
        for number in range(36):
            story.see(**{name: column + number % 2 for name, column in columns.items()})
    assert story.state is not None
    days = story.state["days"]
    assert int(days["means"][0] + (days["recent_weekdays"][0] > 0).sum()) == 8


def test_a_score_during_the_alarm_of_a_day_is_not_taken_for_that_of_the_day() -> None:
    """The reason has the score of its own statistic."""
    story, values = Story(EventKind.LATENCY), course(19, 61, sigma=0.2)
    values[14 * DAY :] *= np.exp(np.linspace(0, 0.4, 5 * DAY))
    story.run(values[: 14 * DAY])
    for value in values[14 * DAY :]:
        if story.see(value=value) == ["BREACHED"]:
            break
    reason = story.reason().split("; ")[1]
    for _ in range(3):
        assert story.see(value=2.0) == ["BREACHED"]
    assert story.reason().split("; ")[1] == reason
