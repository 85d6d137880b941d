"""Time to a limit: lines against NumPy and scipy, Fieller by its definition, coverage by simulation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.stats import linregress
from scipy.stats import t as student_t

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.strategies.registry import build
from bridge.strategies.stats.trend import LEAST, fit, student

EXAMPLE: dict[str, Any] = {"max": 0.8, "lead_time": "1d", "window": "64m"}
DAYS: dict[str, Any] = {"min": 0.85, "lead_time": "3d", "window": "64h"}
START = 1_700_006_400_000  # a multiple of 64 hours
NAN = float("nan")
Floats = NDArray[np.float64]


class Story:
    """Run of a strategy over hourly samples of k models."""

    def __init__(self, params: dict[str, Any], models: int = 1, event: EventKind = EventKind.CUSTOM) -> None:
        self.strategy = build(StrategySpec("decay", params))
        self.state = self.strategy.new_state(models)
        self.slot, self.event = START, event

    def see(self, *values: float, step: int = HOUR) -> Verdicts:
        self.slot += step
        index = np.arange(len(values), dtype=np.int32)
        columns = {"value": np.array(values, np.float64)}
        self.batch = EventBatch("accuracy", self.event, self.slot, ModelTable(), index, columns)
        self.last = self.strategy.analyse_batch(self.batch, self.state)
        return self.last

    def code(self, position: int = 0) -> str:
        cause = Cause(self.last.cause[position])
        return Code(self.last.code[position]).name if cause is Cause.NONE else cause.name

    def reason(self, position: int = 0) -> str:
        return self.strategy.describe(self.batch, position, self.last)


def ramp(story: Story, start: float, a_day: float, hours: int, noise: float = 0.0, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    for hour in range(hours):
        story.see(start + a_day * hour / 24 + noise * rng.normal())


# ---------------------------------------------------------------- verdicts


def test_a_slow_fall_that_a_retraining_would_not_catch_is_a_breach() -> None:
    """Two days from the limit, while a retraining takes three; ten days from it, no request."""
    near, far = Story(DAYS), Story(DAYS)
    ramp(near, 0.90, -0.012, 60)  # 0.87 now: 0.02 to go
    ramp(far, 1.00, -0.012, 60)
    assert (near.code(), far.code()) == ("BREACHED", "OK")
    assert near.last.statistic[0] * 1000 == pytest.approx((0.90 - 0.85) / 0.012 * DAY - 59 * HOUR, abs=HOUR)
    assert near.last.threshold[0] == 3 * 86400


def test_a_full_window_is_enough_for_the_largest_coverage() -> None:
    """The part of the window that is being filled has no mean yet: 63 complete parts are all that there are."""
    story = Story({**DAYS, "min_coverage": 1})
    ramp(story, 1.00, -0.012, 63)
    assert story.code() == "WARMING_UP"
    ramp(story, 0.97, -0.012, 2)
    assert story.code() == "OK"


def test_the_same_fall_in_noise_waits_until_the_bound_is_below_the_lead_time() -> None:
    """The upper confidence bound counts, not the best estimate."""
    story = Story(DAYS)
    ramp(story, 0.90, -0.012, 60, noise=0.05)
    assert story.code() == "OK"


def test_a_rise_to_the_other_side_is_no_breach() -> None:
    """A rising accuracy does not reach its minimum."""
    story = Story(DAYS)
    ramp(story, 0.86, 0.012, 60, noise=0.001)
    assert story.code() == "OK"


def test_of_two_limits_the_one_that_is_reached_counts() -> None:
    """A score that may neither fall nor rise too far."""
    story = Story(DAYS | {"max": 0.95})
    ramp(story, 0.91, 0.012, 60, noise=0.0005)
    assert story.code() == "BREACHED"
    assert "rises" in story.reason()
    assert "reaches 0.95" in story.reason()


def test_a_level_past_the_limit_is_a_breach_without_a_trend() -> None:
    """It has been crossed already."""
    story = Story(DAYS)
    ramp(story, 0.80, 0.0, 60, noise=0.001)
    assert story.code() == "BREACHED"
    assert "is past 0.85 by its trend" in story.reason()


def test_a_crossing_is_forecast_with_bounds_of_its_time() -> None:
    """On the line's side only, not past the limit, not far beyond what was seen, and not without a line."""
    near, away, past, far, unknown = (Story(DAYS) for _ in range(5))
    ramp(near, 0.90, -0.012, 60, noise=0.0005)
    ramp(away, 0.90, 0.012, 60)
    ramp(past, 0.80, -0.012, 60)
    ramp(far, 1.90, -0.012, 60)
    ramp(unknown, 0.90, -0.012, 3)
    found = []
    for story in (near, away, past, far, unknown):
        assert story.state is not None
        found.append(story.strategy.crossings(story.state, story.slot))
    first = found[0]
    assert first is not None
    truth = START + HOUR + (0.90 - 0.85) / 0.012 * DAY
    assert first.limit[0] == 0.85
    assert first.earliest[0] < truth < first.latest[0] < first.earliest[0] + 12 * HOUR
    assert first.confidence == 0.9
    assert all(other is not None and np.isnan([*other.limit, *other.latest]).all() for other in found[1:])


NIGHT: list[dict[str, Any]] = [{"times": [(0, 360)]}]  # 00:00 to 06:00


def early(saving: float, cheap: list[dict[str, Any]], hours: int = 61) -> list[tuple[int, str]]:
    """Return hour and reason of each breach of a fall by 0.012 a day; the request is due at noon of the fourth day."""
    story = Story(DAYS | {"lead_time": "18h", "cheap_times": cheap, "cheap_saving": saving})
    found = []
    for hour in range(hours):
        story.see(0.90 - 0.012 * hour / 24)
        if story.code() == "BREACHED":
            found.append((hour, story.reason()))
    return found


def test_a_retraining_due_at_an_expensive_time_is_requested_earlier() -> None:
    """Due on the fourth day at noon: asked for in the night before, and breached from then on."""
    due = early(0, NIGHT, 100)[0][0]
    clock = (START // HOUR + 1 + due) % 24
    nights = early(0.25, NIGHT, 100)
    assert 6 <= clock <= 23  # an expensive hour
    first, reason = nights[0]
    assert due - 30 < first < due
    assert (START // HOUR + 1 + first) % 24 < 6
    assert reason.endswith(": more than lead_time (18h), but retraining is cheaper now than when it is due")
    assert [hour for hour, _ in nights] == list(range(first, 100))
    assert not nights[-1][1].endswith("due")


def test_early_is_only_as_early_as_it_saves() -> None:
    """A small saving buys little lifetime; times that are always cheap, or never before it is due, change nothing."""
    due = early(0, NIGHT, 100)[0][0]
    assert early(0.01, NIGHT, 100)[0][0] == due
    assert early(1, [{}], 100)[0][0] == due
    assert early(1, [{"years": [(1999, 1999)]}], 100)[0][0] == due


def test_a_freeze_is_avoided_on_its_eve() -> None:
    """Everything before the freeze is cheap: the request comes in its last day, not at once."""
    day = (START + 70 * HOUR) // DAY * DAY
    moment = datetime.fromtimestamp(day / 1000, UTC)
    before = [{"days_of_month": [(1, moment.day - 1)], "months": [(moment.month, moment.month)]}]
    first = early(1, before, 100)[0][0]
    assert day - DAY <= START + (first + 1) * HOUR < day


def test_the_reason_has_the_time_of_the_crossing() -> None:
    """Level, slope, interval and lead time."""
    story = Story(DAYS)
    ramp(story, 0.90, -0.012, 60, noise=0.002)
    assert story.reason() == (
        "accuracy 0.87 falls by 0.012 per day and reaches 0.85 in 1.5 to 1.8 days: less than lead_time (3d)"
    )


def test_too_little_of_the_window_is_not_judged() -> None:
    """Half of it by default: 32 complete cells."""
    story = Story(DAYS)
    ramp(story, 0.90, -0.012, 32)
    assert story.code() == "WARMING_UP"
    story.see(0.884)
    assert story.code() == "BREACHED"


def test_a_missing_sample_is_reported_and_counts_nothing() -> None:
    """The line is that of the other samples."""
    story, whole = Story(DAYS, 1), Story(DAYS, 1)
    for hour in range(60):
        whole.see(0.90 - 0.012 * hour / 24)
        story.see(NAN if hour % 5 == 2 else 0.90 - 0.012 * hour / 24)
    assert story.code() == "BREACHED"
    assert story.last.statistic[0] == pytest.approx(whole.last.statistic[0], rel=1e-6)
    story.see(NAN)
    assert story.code() == "NAN"


def test_what_is_older_than_the_window_is_forgotten() -> None:
    """Also after a gap: a window later the state is empty."""
    story = Story(DAYS)
    ramp(story, 0.90, -0.012, 60)
    story.see(0.5, step=70 * HOUR)
    assert story.code() == "WARMING_UP"
    ramp(story, 1.0, 0.0, 40, noise=0.001)
    assert story.code() == "OK"


def test_models_that_come_and_go_do_not_touch_each_other() -> None:
    """Each verdict depends only on the model's own samples."""
    rng = np.random.default_rng(7)
    paths = 0.9 - np.outer(np.arange(90), rng.uniform(0, 0.001, 6)) + rng.normal(0, 0.002, (90, 6))
    there = rng.random((90, 6)) < 0.8
    together = build(StrategySpec("decay", DAYS))
    state = together.new_state(6)
    assert state is not None
    singles = [Story(DAYS) for _ in range(6)]
    for hour in range(90):
        here = np.flatnonzero(there[hour])
        some, slot = state[here], START + (hour + 1) * HOUR
        columns = {"value": paths[hour, here]}
        batch = EventBatch("accuracy", EventKind.CUSTOM, slot, ModelTable(), here.astype(np.int32), columns)
        result = together.analyse_batch(batch, some)
        state[here] = some
        for position, model in enumerate(here.tolist()):
            singles[model].slot = slot - HOUR
            alone = singles[model].see(paths[hour, model])
            assert repr(alone.statistic[0]) == repr(result.statistic[position])
            assert alone.code[0] == result.code[position]


@pytest.mark.parametrize(
    "params",
    [
        {"lead_time": "1d"},
        {"max": 1, "min": 2, "lead_time": "1d"},
        {"max": 1, "lead_time": "0s"},
        {"max": 1, "lead_time": "1d", "window": "1m"},
        {"max": 1, "lead_time": "1d", "confidence": 1},
    ],
)
def test_parameters_that_make_no_sense_are_refused(params: dict[str, Any]) -> None:
    """No limit, reversed limits, no lead time, a window shorter than its cells."""
    with pytest.raises(ValidationError):
        build(StrategySpec("decay", params))


def test_verdicts_begin_after_one_window() -> None:
    """A new rule need not wait for it."""
    assert Story(DAYS).strategy.history == 64 * HOUR


# ---------------------------------------------------------------- lines


def test_the_line_is_that_of_scipy() -> None:
    """Also with gaps; without correlation so are the standard errors and the quantile."""
    rng = np.random.default_rng(2)
    x, y = np.arange(64.0), rng.normal(size=(5, 64)) + 0.1 * np.arange(64)
    y[:, 1::2] -= 3  # neighbours that differ: no correlation that would widen
    has = rng.random((5, 64)) < 0.9
    has[:, ::2] = True
    result = fit(x, y, has, student(0.95, 64))
    for row in range(5):
        expected = linregress(x[has[row]], y[row][has[row]])
        assert result.slope[row] == pytest.approx(expected.slope)
        assert result.level[row] == pytest.approx(expected.intercept)
        assert result.var_slope[row] == pytest.approx(expected.stderr**2)
        assert result.var_level[row] == pytest.approx(expected.intercept_stderr**2)
        assert result.quantile[row] == pytest.approx(student_t.ppf(0.95, has[row].sum() - 2), rel=1e-5)


@pytest.mark.parametrize("probability", [0.75, 0.95, 0.995])
def test_quantiles_are_those_of_scipy(probability: float) -> None:
    """To one in 100,000 where they are used, with 4 degrees of freedom and more."""
    free = np.arange(4, 65)
    assert student(probability, 64)[4:] == pytest.approx(student_t.ppf(probability, free), rel=2e-5)


def test_too_few_points_make_no_line() -> None:
    """The quantile is 0."""
    has = np.zeros((2, 64), np.bool_)
    has[0, :LEAST], has[1, : LEAST - 1] = True, True
    result = fit(np.arange(64.0), np.ones((2, 64)), has, student(0.95, 64))
    assert (result.quantile > 0).tolist() == [True, False]


def test_the_crossing_bounds_are_where_the_limit_enters_and_leaves_the_band() -> None:
    """Fieller's interval by its definition: x at which the limit is within the band of the line."""
    rng = np.random.default_rng(5)
    x = np.arange(64.0) - 64
    y = 0.05 * x + rng.normal(size=(50, 64))
    lines = fit(x, y, np.ones((50, 64), np.bool_), student(0.95, 64))
    first, last = lines.crossing(1.0)
    sure = np.flatnonzero(~np.isnan(first))
    assert len(sure) > 40
    for row in sure.tolist():
        for end in (first[row], last[row]):
            height = lines.level[row] + lines.slope[row] * end
            assert abs(1.0 - height) == pytest.approx(lines.margin(end)[row], rel=1e-6)
    flat = fit(x, y - 0.05 * x, np.ones((50, 64), np.bool_), student(0.95, 64))
    assert np.isnan(flat.crossing(1.0)[0]).mean() > 0.8


@pytest.mark.parametrize(("phi", "seen"), [(0.0, 0.915), (0.5, 0.894), (0.9, 0.850)])
def test_the_interval_has_its_nominal_coverage(phi: float, seen: float) -> None:
    """90 % intervals cover the true crossing in 80 to 95 %, also in autocorrelated noise (63 cells, seed 1)."""
    rng, models, cells = np.random.default_rng(1), 20_000, 63
    z = rng.normal(size=(models, cells))
    for cell in range(1, cells):
        z[:, cell] = phi * z[:, cell - 1] + np.sqrt(1 - phi**2) * z[:, cell]
    x = np.arange(cells, dtype=np.float64) - cells + 0.5
    lines = fit(x, z + 0.1 * x, np.ones(z.shape, np.bool_), student(0.95, 64))
    ahead = 30.0  # where the true line is at the limit
    limit = 0.1 * ahead
    covered = np.abs(limit - lines.level - lines.slope * ahead) <= lines.margin(ahead)
    assert 0.80 <= covered.mean() <= 0.95
    assert covered.mean() == pytest.approx(seen, abs=0.01)
    first, last = lines.crossing(limit)
    sure = ~np.isnan(first)
    inside = ((first <= ahead) & (ahead <= last))[sure]
    assert (inside == covered[sure]).all()
