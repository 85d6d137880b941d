"""Costs of keeping and of retraining: the change-point average by its definition, decisions by scenarios."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.stats import norm

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import HOUR
from bridge.domain.verdict import Cause, Code
from bridge.strategies.registry import build
from bridge.strategies.stats.averaged_change_point import PRIOR, STEP, rates_before_and_after

EXAMPLE: dict[str, Any] = {"retraining_cost": 0.5}
HOURLY: dict[str, Any] = {"retraining_cost": 500, "window": "1h"}
START = 1_700_000_400_000
NAN = float("nan")


class Story:
    """Hourly samples of one model, of 1,000 requests each."""

    def __init__(self, params: dict[str, Any], state: NDArray[np.void] | None = None) -> None:
        self.strategy = build(StrategySpec("cost_aware", params))
        state = self.strategy.new_state(1) if state is None else state
        assert state is not None
        self.state = state
        self.slot = START

    def see(self, errors: float, total: float = 1000.0, times: int = 1, step: int = HOUR) -> str:
        for _ in range(times):
            self.slot += step
            columns = {"errors": np.array([errors]), "total": np.array([total])}
            index = np.zeros(1, np.int32)
            self.batch = EventBatch(
                "failures", EventKind.INFERENCE_ERROR, self.slot, ModelTable(), index, columns
            )  # fmt: skip
            self.last = self.strategy.analyse_batch(self.batch, self.state)
        cause = Cause(self.last.cause[0])
        return Code(self.last.code[0]).name if cause is Cause.NONE else cause.name

    @property
    def saving(self) -> float:
        return float(self.last.statistic[0])

    def reason(self) -> str:
        return self.strategy.describe(self.batch, 0, self.last)

    def hours_until_breached(self, errors: float) -> int:
        return next(hour for hour in range(1, 2000) if self.see(errors) == "BREACHED")

    def retrain(self) -> None:
        """Start a new version with the next sample."""
        self.state = self.strategy.successor(self.state)


# ---------------------------------------------------------------- decisions


def test_a_jump_is_worth_a_retraining_when_it_costs_more_over_a_models_life() -> None:
    """Two days at 5 %, then 10 %: 50 errors an hour more, for as long as the model has lasted."""
    story = Story(HOURLY)
    assert story.see(50, times=48) == "OK"
    assert story.saving == pytest.approx(0.03 * np.log(2) * 50 * 48 * (1 - np.exp(-1 / 0.4)), rel=0.1)
    story.see(100, times=6)
    assert story.last.code[0] == Code.BREACHED
    assert story.saving == pytest.approx(50 * 54, rel=0.15)
    assert story.last.threshold[0] == 500


def test_the_same_jump_is_not_worth_a_dear_one() -> None:
    """The cost of an error matters as much as that of a retraining."""
    dear, cheap = Story(HOURLY | {"retraining_cost": 20_000}), Story(HOURLY | {"retraining_cost": 20_000})
    cheap = Story(HOURLY | {"retraining_cost": 20_000, "error_cost": 40})
    for story in (dear, cheap):
        story.see(50, times=48)
    assert [story.see(100, times=6) for story in (dear, cheap)] == ["OK", "BREACHED"]
    assert cheap.saving == pytest.approx(40 * dear.saving)


def test_an_error_rate_that_was_always_high_is_retrained_by_chance_and_each_time_later() -> None:
    """Trainings differ by chance: 2 % fewer errors are expected. When the rate stays the same, the next one waits."""
    story = Story(HOURLY)
    waits = [story.hours_until_breached(300)]
    assert "error rate 30 %, expected 29.4 % after retraining" in story.reason()
    for weight in (50, 36, 29):
        story.retrain()
        waits.append(story.hours_until_breached(300))
        assert f"(scaled to the {weight} % of" in story.reason()
    assert waits[0] >= 48
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]


def test_a_dear_retraining_is_not_tried_by_chance() -> None:
    """30 errors per hour, of which a retraining is expected to avoid 0.6: never 500 in 30 days."""
    story = Story(HOURLY)
    assert {story.see(30) for _ in range(1500)} == {"OK"}


def test_a_change_that_has_ended_after_a_training_is_learned() -> None:
    """Three trainings during a rise from 5 to 14 %: the last one learned a mixture. The first one was better."""
    story = Story(HOURLY)
    story.see(50, times=100)
    for errors in (80, 110, 140):
        story.see(errors, times=6)
        story.retrain()
    assert story.hours_until_breached(140) <= 40


def test_a_rate_that_falls_after_the_training_counts_as_reached() -> None:
    """The training was ahead of the requests: in the middle of a change it has learned the new data already."""
    story = Story(HOURLY)
    story.see(200, times=3)
    story.see(100, times=60)
    story.retrain()
    assert story.state["levels"][0, 0] == pytest.approx(0.1, rel=0.05)


def test_a_version_that_is_worse_than_those_before_it_is_retrained_after_a_while() -> None:
    """Trained on a bad day: 20 % from the start, where trainings reach 5 %. At first its own start is the reference."""
    story = Story(HOURLY | {"retraining_cost": 2000})
    story.see(50, times=100)
    story.see(200, times=3)
    assert story.last.code[0] == Code.BREACHED
    story.retrain()
    codes = [story.see(200) for _ in range(60)]
    assert codes[0] == "OK"
    assert codes[-1] == "BREACHED"
    assert 10 <= codes.index("BREACHED") <= 50


def test_trainings_that_brought_nothing_make_the_next_one_less_promising() -> None:
    """20 % for good reasons: trainings do not help, so the waits get longer; a training that helps is distinguished."""
    story = Story(HOURLY | {"retraining_cost": 1000})
    story.see(50, times=100)
    waits: list[int] = []
    reasons: list[str] = []
    while len(waits) < 6:
        waits.append(story.hours_until_breached(200))
        reasons.append(story.reason())
        story.retrain()
    assert waits == sorted(waits)
    assert waits[0] == 2
    assert waits[-1] > 100
    assert "(scaled to the 36 % of past predictions that came true)" in reasons[2]
    for share in (43, 57):  # from here on, they help
        story.see(50, times=30)
        story.see(200, times=8)
        assert f"(scaled to the {share} %" in story.reason()
        story.retrain()


def test_a_version_that_is_as_good_as_those_before_it_is_kept() -> None:
    """After a retraining that helped."""
    story = Story(HOURLY)
    story.see(50, times=100)
    story.see(200, times=3)
    story.retrain()
    assert {story.see(50) for _ in range(100)} == {"OK"}


def test_the_first_sample_after_a_change_waits_for_the_second() -> None:
    """A training would see both sides of it, unless an hour of waiting costs 0.3 of a retraining."""
    story, urgent = Story(HOURLY | {"retraining_cost": 1000}), Story(HOURLY)
    for each in (story, urgent):
        each.see(50, times=48)
    assert (story.see(250), urgent.see(250)) == ("OK", "BREACHED")
    assert story.see(250) == "BREACHED"


def test_a_gradual_change_is_waited_out_while_that_costs_little() -> None:
    """While the rate still rises a dear retraining waits, a cheap one does not; both come after the rise has ended."""
    first = {}
    for cost in (50, 1500):
        story = Story({"retraining_cost": cost, "window": "1h"})
        story.see(50, times=30)
        codes = [story.see(50 + 5 * step) for step in range(1, 13)]
        codes += [story.see(110) for _ in range(30)]
        first[cost] = codes.index("BREACHED")
    assert first[50] < 8
    assert 12 <= first[1500] < 30


def test_a_concept_that_returns_by_itself_is_worth_less() -> None:
    """After two comebacks of levels that last 12 hours, a rise is expected to last no longer."""
    steady, recurring = Story(HOURLY), Story(HOURLY)
    steady.see(50, times=60)
    for errors in (50, 90, 50, 90, 50):
        recurring.see(errors, times=12)
    for story in (steady, recurring):
        story.see(90, times=6)
    assert steady.last.code[0] == Code.BREACHED
    assert recurring.last.code[0] == Code.OK
    assert recurring.saving < 0.4 * steady.saving


def test_a_fall_and_a_rise_are_two_changes() -> None:
    """The model was trained just before the concept changed back: 30 %, then 5 %, then 30 % again."""
    story = Story(HOURLY)
    for errors in (300, 50):
        story.see(errors, times=24)
    assert story.state["fresh"][0] == pytest.approx(0.05, abs=0.005)
    assert story.hours_until_breached(300) <= 2
    assert "expected 5." in story.reason()


def test_after_a_fall_it_is_unknown_what_a_training_reaches() -> None:
    """Errors that fell to 10 % by themselves: the data has changed, so a training is tried soon, and only once."""
    fallen, steady = Story(HOURLY), Story(HOURLY)
    fallen.see(200, times=24)
    for story in (fallen, steady):
        story.see(100, times=30)
    assert fallen.saving > 4 * steady.saving
    assert fallen.hours_until_breached(100) < 48
    fallen.retrain()
    assert {fallen.see(100) for _ in range(200)} == {"OK"}


def test_a_fall_that_continues_is_one_fall() -> None:
    """From 30 to 5 % in steps; then the same after a rise."""
    story = Story(HOURLY)
    for errors in (300, 250, 200, 150, 100, 50):
        story.see(errors, times=5)
    assert story.state["falls"][0] == 1
    story.see(200, times=20)
    story.see(50, times=60)
    assert story.state["falls"][0] == 2


def test_samples_before_a_fall_no_longer_count() -> None:
    """Neither their errors nor their time: the traffic is the same as before."""
    story = Story(HOURLY)
    story.see(300, times=24)
    story.see(50, times=24)
    samples = int(story.state["cells"][0])
    assert samples <= 25
    assert story.state["windows"][0] == samples
    assert story.state["total"].sum() == 1000 * samples
    assert story.state["errors"].sum() == pytest.approx(50 * samples, abs=300)


def test_a_training_at_the_beginning_of_a_change_is_repeated_soon() -> None:
    """It saw old and new data, and reached 15 % where trainings reach 5 %. One that saw the new data is kept longer."""
    waits = {}
    for times in (1, 12):
        story = Story(HOURLY | {"retraining_cost": 300})
        story.see(50, times=60)
        story.see(400, times=times)
        assert story.last.code[0] == Code.BREACHED
        story.retrain()
        waits[times] = story.hours_until_breached(150)
    assert waits[1] < 0.5 * waits[12]


def test_models_that_never_last_are_not_retrained_for_a_gain_that_does_not_last() -> None:
    """The same jump pays after a long life, and not when the versions before it lasted a few hours each."""
    steady, restless = Story(HOURLY | {"retraining_cost": 1500}), Story(HOURLY | {"retraining_cost": 1500})
    for _ in range(12):
        restless.see(50, times=4)
        restless.retrain()
    steady.see(50, times=48)
    restless.see(50, times=10)
    assert (steady.see(100, times=6), restless.see(100, times=6)) == ("BREACHED", "OK")


def test_nothing_beyond_the_horizon_counts() -> None:
    """A long lifetime is capped."""
    story = Story(HOURLY | {"horizon": "6h"})
    story.see(50, times=200)
    story.see(100, times=20)
    assert story.saving == pytest.approx(50 * 6, rel=0.15)


def test_errors_that_come_in_bursts_are_no_change() -> None:
    """Overdispersed counts are weaker evidence; seed 3. One request for every tenth model would be acceptable."""
    rng = np.random.default_rng(3)
    requests = 0
    for _ in range(20):
        story = Story(HOURLY | {"retraining_cost": 1000})
        requests += any(story.see(float(rng.binomial(1000, rng.beta(5, 95)))) == "BREACHED" for _ in range(100))
    assert requests <= 4


def test_a_history_that_gets_long_keeps_its_beginning() -> None:
    """200 samples in 64 cells give the same result as 200 cells."""
    story = Story(HOURLY)
    story.see(50, times=160)
    story.see(100, times=40)
    assert story.state["each"][0] == 4
    assert story.state["total"].sum() == 200_000
    errors, total = np.repeat([50.0, 100.0], [160, 40])[None], np.full((1, 200), 1000.0)
    whole = rates_before_and_after(errors, total, np.array([200]))
    assert story.state["now"][0] == pytest.approx(whole.now[0], abs=0.001)
    assert story.state["fresh"][0] == pytest.approx(whole.before[0], abs=0.001)


def test_missing_and_empty_samples_change_nothing() -> None:
    """A gap, and an hour without traffic."""
    story = Story(HOURLY)
    assert story.see(0, 0) == "INSUFFICIENT"
    assert story.see(NAN) == "NAN"
    story.see(50, times=48)
    before = story.state.copy()
    assert story.see(NAN) == "NAN"
    assert story.see(0, 0) == "OK"
    for field in ("errors", "total", "saving", "cells"):
        assert (story.state[field] == before[field]).all()


def test_slots_between_two_samples_are_not_counted() -> None:
    """Each request once."""
    story = Story(HOURLY)
    story.see(50, times=60, step=HOUR // 4)
    assert story.state["total"].sum() == 15_000


def test_a_version_without_a_sample_passes_inherited_state_to_the_next() -> None:
    """There was nothing to learn."""
    story = Story(HOURLY)
    story.see(50, times=48)
    once = story.strategy.successor(story.state)
    twice = story.strategy.successor(once)
    for field in ("levels", "lives", "versions"):
        assert (once[field] == twice[field]).all()
    assert once["lives"] == 48 * HOUR
    assert once["levels"][0, 0] == pytest.approx(0.05, rel=0.02)


def test_the_reason_has_both_rates_and_both_costs() -> None:
    """In per cent, days, and the unit of the costs."""
    story = Story(HOURLY)
    story.see(50, times=48)
    story.see(100, times=6)
    assert story.reason() == (
        "signal 'failures': error rate 10 %, expected 5.03 % after retraining: over the 2d that models of this pipeline"
        " last, keeping the model is expected to cost 2,680 more; a retraining costs 500"
    )


@pytest.mark.parametrize("params", [{}, {"retraining_cost": 0}, {"retraining_cost": 1, "error_cost": -1}])
def test_costs_that_are_none_are_refused(params: dict[str, Any]) -> None:
    """Without them there is nothing to compare."""
    with pytest.raises(ValidationError):
        build(StrategySpec("cost_aware", params))


# ---------------------------------------------------------------- the average over changes


def by_definition(errors: NDArray[np.float64], total: NDArray[np.float64]) -> tuple[float, float]:
    """Every change by itself: its likelihood by normal densities, its rates by the posterior of the step."""
    angle, var = 2 * np.arcsin(np.sqrt((errors + 0.375) / (total + 0.75))), 1 / (total + 0.5)
    apart = (angle[1:] - angle[:-1]) ** 2 / (var[1:] + var[:-1])
    if len(apart) >= 8:
        var = var * max(1.0, np.sort(apart)[len(apart) // 2] / 0.4549)

    def rate(y: float) -> float:
        return float(np.sin(y / 2) ** 2)

    mean = (angle / var).sum() / (1 / var).sum()
    weights, now, before = [1 - PRIOR], [rate(mean)], [rate(mean)]
    for cut in range(1, len(angle)):
        first, second = (np.average(angle[part], weights=1 / var[part]) for part in (slice(cut), slice(cut, None)))
        noise = 1 / (1 / var[:cut]).sum() + 1 / (1 / var[cut:]).sum()
        gap = second - first
        factor = norm.pdf(gap, scale=np.sqrt(noise + STEP**2)) / norm.pdf(gap, scale=np.sqrt(noise))
        weights.append(PRIOR / (len(angle) - 1) * factor)
        now.append(rate(first + gap * STEP**2 / (STEP**2 + noise)))
        before.append(rate(first))
    share = np.array(weights) / sum(weights)
    return float((share * now).sum()), float((share * before).sum())


@pytest.mark.parametrize("cells", [1, 2, 5, 9, 40])
def test_the_average_is_that_of_all_changes_one_by_one(cells: int) -> None:
    """Histories of different lengths and traffic in one batch; seed 8."""
    rng = np.random.default_rng(8)
    total = rng.integers(50, 2000, (6, 64)).astype(np.float64)
    errors = rng.binomial(total.astype(np.int64), rng.uniform(0.01, 0.3, (6, 1))).astype(np.float64)
    errors[:, cells // 2 :] = np.minimum(errors[:, cells // 2 :] * 1.3, total[:, cells // 2 :])
    used = np.array([cells, max(cells - 1, 1), cells, 1, cells, min(cells + 3, 64)])
    result = rates_before_and_after(errors, total, used)
    for row, many in enumerate(used.tolist()):
        now, before = by_definition(errors[row, :many], total[row, :many])
        assert result.now[row] == pytest.approx(now, rel=1e-6)
        assert result.before[row] == pytest.approx(before, rel=1e-6)


def test_a_change_in_the_last_cell_alone_is_reported() -> None:
    """An older one is not reported."""
    errors = np.full((3, 64), 50.0)
    errors[0, 19], errors[1, 18:20] = 200, 200
    result = rates_before_and_after(errors, np.full((3, 64), 1000.0), np.full(3, 20))
    assert [round(float(share), 2) for share in result.newest] == [1.0, 0.0, 0.0]
