"""The e-process: against the closed form, with exact false alarm rates and delays, and runs by hand."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import betaln
from scipy.stats import beta, binom

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy
from bridge.strategies.error_e_process import log_evidence
from bridge.strategies.registry import build

EXAMPLE: dict[str, Any] = {"p0": 0.01}
START = 1_700_000_100_000
NAN = float("nan")


def batch(slot: int, errors: list[float], total: list[float]) -> EventBatch:
    table = ModelTable()
    index = np.array([table.row(ModelKey("p", "q", str(position))) for position in range(len(errors))], np.int32)
    columns = {"errors": np.array(errors, np.float64), "total": np.array(total, np.float64)}
    return EventBatch("failures", EventKind.INFERENCE_ERROR, slot, table, index, columns)


class Story:
    """Run of a strategy over the samples of one model."""

    def __init__(self, step: int = 5 * MINUTE, **params: Any) -> None:
        self.strategy: RetrainStrategy = build(StrategySpec("error_e_process", {"p0": 0.01, **params}))
        self.state = self.strategy.new_state(1)
        self.step, self.slot = step, START
        self.last: tuple[EventBatch, Verdicts] | None = None

    def see(self, errors: float, total: float, times: int = 1) -> tuple[str, str]:
        """Return code and cause after so many samples."""
        for _ in range(times):
            self.slot += self.step
            one = batch(self.slot, [errors], [total])
            verdicts = self.strategy.analyse_batch(one, self.state)
            self.last = one, verdicts
        return Code(verdicts.code[0]).name, Cause(verdicts.cause[0]).name

    @property
    def statistic(self) -> float:
        assert self.last is not None
        return float(self.last[1].statistic[0])

    def reason(self) -> str:
        assert self.last is not None
        return self.strategy.describe(self.last[0], 0, self.last[1])

    def counted(self) -> tuple[float, float]:
        assert self.state is not None
        return float(self.state["errors"][0, 0]), float(self.state["total"][0, 0])


def closed_form(errors: Floats, total: Floats, p0: float, b: float) -> Floats:
    """B(1+k, b+n-k) P(Beta(1+k, b+n-k) > p0) over B(1, b) P(Beta(1, b) > p0) p0^k (1-p0)^(n-k), as a logarithm."""
    above: Floats = betaln(1 + errors, b + total - errors) + beta.logsf(p0, 1 + errors, b + total - errors)
    below: Floats = betaln(1, b) + beta.logsf(p0, 1, b) + errors * np.log(p0) + (total - errors) * np.log1p(-p0)
    return above - below


@pytest.mark.parametrize(("p0", "b"), [(0.0001, 3000.0), (0.01, 30.0), (0.01, 1.0), (0.3, 1.0), (0.9, 1.0)])
def test_the_evidence_is_that_of_the_closed_form(p0: float, b: float) -> None:
    """Over counts of one to a million requests, none failed to all of them."""
    draw = np.random.default_rng(4)
    total = np.floor(10 ** draw.uniform(0, 6, 2000))
    errors = np.minimum(total, np.floor(total * p0 * 10 ** draw.uniform(-0.3, 1, 2000)) + draw.poisson(1, 2000))
    errors[:30] = total[:30]
    expected, found = closed_form(errors, total, p0, b), log_evidence(errors, total, p0, b)
    many = errors > p0 * total
    assert many.sum() > 500
    assert np.allclose(found[many], expected[many], rtol=1e-7, atol=1e-7)
    assert (expected[~many] < 1e-6).all()
    assert np.isneginf(found[~many]).all()


def needed(alpha: float) -> float:
    """Logarithm of what one run without past parts has to win.

    All parts have seen the same: 0.8 + 0.1/8 + 0.1/64 of the stake is on it, and 0.1 * (7/8 + 63/64) waits.
    """
    return float(np.log((1 / alpha - 0.1859375) / 0.8140625))


def ever(p: float, looks: int, each: int, alpha: float = 0.01) -> np.ndarray:
    """P(fired at a look up to this one), exactly: (looks,), of `each` requests of error rate p between two looks."""
    step = binom.pmf(np.arange(each + 1), each, p)
    alive, fired = np.ones(1), np.zeros(looks)
    for look in range(looks):
        alive = np.convolve(alive, step)
        errors = np.arange(len(alive), dtype=float)
        total = np.full(len(alive), float(each * (look + 1)))
        alive[log_evidence(errors, total, 0.01, 30.0) >= needed(alpha)] = 0
        alive = np.trim_zeros(alive, "b")
        fired[look] = 1 - alive.sum()
    return fired


def test_false_alarms_over_500_looks_are_within_alpha() -> None:
    """By enumeration, not simulation: at the worst acceptable error rate, 10,000 requests, alpha 1 % and 10 %."""
    assert 0.003 < ever(0.01, 500, 20)[-1] <= 0.01
    assert 0.03 < ever(0.01, 500, 20, alpha=0.1)[-1] <= 0.1


def test_a_doubled_error_rate_is_found_soon() -> None:
    """2 % instead of 1 %: half of the models within 1,500 requests, 90 % within 3,200."""
    fired = ever(0.02, 200, 20)
    median, late = (20 * (int(np.argmax(fired >= share)) + 1) for share in (0.5, 0.9))
    assert 1000 < median <= 1500
    assert 2000 < late <= 3200


def test_the_strategy_alarms_as_often_as_enumerated() -> None:
    """5,000 models through the strategy, 100 evaluations: within five standard errors of the exact share."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = np.random.default_rng(seed)
    strategy = build(StrategySpec("error_e_process", {"p0": 0.01, "alpha": 0.1, "restart": "52w"}))
    state = strategy.new_state(5000)
    ever_fired = np.zeros(5000, np.bool_)
    for look in range(100):
        errors = draw.binomial(20, 0.02, 5000).astype(float)
        verdicts = strategy.analyse_batch(batch(START + look * 5 * MINUTE, errors.tolist(), [20.0] * 5000), state)
        ever_fired |= verdicts.code == Code.BREACHED
    exact = float(ever(0.02, 100, 20, alpha=0.1)[-1])
    assert abs(ever_fired.mean() - exact) < 5 * np.sqrt(exact * (1 - exact) / 5000)


def test_no_more_errors_than_allowed_are_no_evidence() -> None:
    """The statistic is 1: evidence of one to one; with more it grows."""
    story = Story(restart="52w")
    assert story.see(1, 100, 10) == ("OK", "NONE")
    assert story.statistic == 1.0
    story.see(10, 100)
    assert story.statistic == pytest.approx(4.7003 * 0.8140625 + 0.1859, abs=1e-4)


@pytest.mark.parametrize(("params", "b"), [({"p0": 0.001}, 300.0), ({"p0": 0.5}, 1.0), ({"prior_b": 5.0}, 5.0)])
def test_the_prior_follows_p0_unless_it_is_given(params: dict[str, Any], b: float) -> None:
    """0.3 / p0, and at least 1."""
    story = Story(**params)
    story.see(8, 10)
    won = float(np.exp(closed_form(np.array([8.0]), np.array([10.0]), params.get("p0", 0.01), b)[0]))
    assert story.statistic == pytest.approx(won * 0.8140625 + 0.1859375, rel=1e-7)


def test_what_was_proven_stays_until_as_many_good_requests_came() -> None:
    """100 failures of 1000 requests fire; 900 healthy requests do not resolve it, 1000 do."""
    story = Story()
    assert story.see(100, 1000) == ("BREACHED", "NONE")
    proof = story.statistic
    assert proof > 100
    assert story.see(0, 100, 9) == ("BREACHED", "NONE")
    assert story.statistic == proof
    assert story.see(0, 100) == ("OK", "NONE")
    assert story.statistic == 1.0


def test_a_proof_can_be_renewed() -> None:
    """Still bad after a breach: new evidence replaces the old."""
    story = Story()
    story.see(100, 1000)
    first = story.statistic
    assert story.see(300, 1000) == ("BREACHED", "NONE")
    assert story.statistic > first


def test_a_run_starts_over() -> None:
    """After a day, without evidence."""
    story = Story(restart="1d")
    assert story.see(1, 1000, 288) == ("OK", "NONE")
    assert story.counted() == (288.0, 288_000.0)
    fresh = Story(restart="1d")
    for either in (story, fresh):
        either.see(5, 100)
        assert either.counted() == (5.0, 100.0)
    assert story.statistic == fresh.statistic


def test_a_good_past_does_not_hide_a_bad_present() -> None:
    """23 hours of 0.1 %, then 5 %: still 0.1 % over the run, but its last part proves it in five minutes.

    And what it takes to take that back is as much as that part had, not the whole run.
    """
    story = Story(restart="1d")
    assert story.see(1, 1000, 276) == ("OK", "NONE")
    assert story.see(50, 1000)[0] == "BREACHED"
    assert story.see(0, 1000)[0] == "BREACHED"
    assert story.see(0, 1000)[0] == "OK"


def test_false_alarms_of_runs_with_parts_are_within_alpha() -> None:
    """4,000 models at the worst error rate allowed, 128 looks in a run, alpha 10 %: five standard errors at most."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = np.random.default_rng(seed)
    strategy = build(StrategySpec("error_e_process", {"p0": 0.01, "alpha": 0.1, "restart": "640m"}))
    state = strategy.new_state(4000)
    ever_fired = np.zeros(4000, np.bool_)
    for look in range(128):
        errors = draw.binomial(100, 0.01, 4000).astype(float)
        verdicts = strategy.analyse_batch(batch(START + look * 5 * MINUTE, errors.tolist(), [100.0] * 4000), state)
        ever_fired |= verdicts.code == Code.BREACHED
    assert 0.01 < ever_fired.mean() < 0.1 + 5 * np.sqrt(0.1 * 0.9 / 4000)


def test_what_parts_have_won_is_kept_when_they_are_over() -> None:
    """By hand: an hour is an eighth of the run, and eight of its 64ths."""
    story = Story(restart="8h", window="1h", step=HOUR)
    story.see(20, 1000)
    first = story.statistic
    won = float(np.exp(closed_form(np.array([20.0]), np.array([1000.0]), 0.01, 30.0)[0]))
    assert first == pytest.approx(won * 0.8140625 + 0.1859375, rel=1e-9)
    story.see(20, 1000)
    twice = float(np.exp(closed_form(np.array([40.0]), np.array([2000.0]), 0.01, 30.0)[0]))
    # Of the eighths one is over, of the 64ths eight, of which seven had no sample.
    parts = 0.1 / 8 * (won + won + 6) + 0.1 / 64 * (won + 7 + won + 55)
    assert story.statistic == pytest.approx(0.8 * twice + parts, rel=1e-9)


def test_parts_without_requests_keep_their_stake() -> None:
    """By hand: 20 of 1000, an hour of 0 of 0, and 20 of 1000: the part in between has won and lost nothing."""
    story = Story(restart="8h", window="1h", step=HOUR)
    story.see(20, 1000)
    story.see(0, 0)
    story.see(20, 1000)
    won, twice = (float(np.exp(closed_form(np.array([k]), np.array([50 * k]), 0.01, 30.0)[0])) for k in (20.0, 40.0))
    parts = 0.1 / 8 * (won + 1 + won + 5) + 0.1 / 64 * (2 * won + 62)
    assert story.statistic == pytest.approx(0.8 * twice + parts, rel=1e-9)


def test_a_run_that_ends_healthy_takes_a_proof_back_and_one_that_does_not_keeps_it() -> None:
    """A day after a breach by 100,000 requests, with few since."""
    good, bad = Story(), Story()
    for story, errors in ((good, 0), (bad, 2)):
        story.see(5000, 100_000)
        story.see(errors, 100)
        story.slot += DAY
        story.see(0, 1)
    assert (good.see(0, 1)[0], bad.see(0, 1)[0]) == ("OK", "BREACHED")


def test_silence_neither_fires_nor_resolves() -> None:
    """Two days without a sample or a request: the breach stays."""
    story = Story()
    story.see(100, 1000)
    story.slot += 2 * DAY
    assert story.see(NAN, NAN) == ("INCONCLUSIVE", "NAN")
    assert story.see(0, 0, 5) == ("BREACHED", "NONE")


@pytest.mark.parametrize(("errors", "total"), [(NAN, 9.0), (9.0, NAN), (float("inf"), 9.0), (-1.0, 9.0), (0.0, -9.0)])
def test_invalid_counts_are_ignored(errors: float, total: float) -> None:
    """It is inconclusive."""
    story = Story()
    story.see(1, 100)
    assert story.see(errors, total) == ("INCONCLUSIVE", "NAN")
    assert story.counted() == (1.0, 100.0)


def test_a_model_without_requests_is_not_known() -> None:
    """0 of 0."""
    story = Story()
    assert story.see(0, 0, 3) == ("INCONCLUSIVE", "INSUFFICIENT")
    assert story.see(0, 10) == ("OK", "NONE")


def test_fractional_counts_are_inconclusive() -> None:
    """0.5 is requests per second: as counts they would never fire, so the verdict is inconclusive."""
    wrong, right = Story(), Story(samples="rate")
    assert wrong.see(0.25, 0.5) == ("INCONCLUSIVE", "INSUFFICIENT")
    assert wrong.counted() == (0.0, 0.0)
    wrong.see(5, 10)
    assert wrong.see(0.25, 0.5) == ("INCONCLUSIVE", "INSUFFICIENT")
    assert right.see(0.25, 0.5)[0] == "BREACHED"
    assert right.see(1 / 300, 0.5)[0] == "OK"
    assert right.counted() == (1.0, 150.0)


def test_extrapolated_counts_are_rounded_to_the_safe_side() -> None:
    """increase() returns 2.1 of 105.3 for 2 of 100; a float close to an integer is rounded to it."""
    story = Story()
    story.see(2.1, 105.3)
    assert story.counted() == (2.0, 106.0)
    story.see(0.9999999999, 100.0000000001)
    assert story.counted() == (3.0, 206.0)


def test_windows_that_overlap_are_counted_once() -> None:
    """A five-minute increase queried every minute: every fifth sample counts."""
    story = Story(step=MINUTE)
    story.see(1, 100, 11)
    assert story.counted() == (3.0, 300.0)


def test_a_model_does_not_change_what_is_computed_for_another_and_bytes_bring_it_back() -> None:
    """Random samples and gaps, in one batch whose state is serialised, and each model separately."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    strategy = build(StrategySpec("error_e_process", {"p0": 0.01, "restart": "3h"}))
    assert strategy.state_dtype is not None
    together, alone = strategy.new_state(8), [strategy.new_state(1) for _ in range(8)]
    assert together is not None
    breached = 0
    for step in range(80):
        here = [position for position in range(8) if draw.random() < 0.8]
        total = [draw.choice([0.0, 50.0, 400.0, NAN]) for _ in here]
        errors = [draw.choice([0, 0, 0.02, 0.1]) * size for size in total]
        state = together[here]
        verdicts = strategy.analyse_batch(batch(START + step * 5 * MINUTE, errors, total), state)
        together[here] = np.frombuffer(state.tobytes(), strategy.state_dtype)
        for row, position in enumerate(here):
            one = batch(START + step * 5 * MINUTE, [errors[row]], [total[row]])
            single = strategy.analyse_batch(one, alone[position])
            assert (single.code[0], single.cause[0]) == (verdicts.code[row], verdicts.cause[row])
            assert single.statistic[0] == pytest.approx(verdicts.statistic[row], rel=1e-12)
        breached += int((verdicts.code == Code.BREACHED).sum())
    assert breached > 0


def test_it_remembers_little() -> None:
    """113 bytes per model."""
    dtype = build(StrategySpec("error_e_process", EXAMPLE)).state_dtype
    assert dtype is not None
    assert dtype.itemsize == 113


def test_the_reason_has_the_strength_of_the_evidence() -> None:
    """As odds, beside the required odds."""
    story = Story()
    story.see(20, 500)
    assert story.reason() == (
        "signal 'failures': more than 1 % of inferences fail; evidence 92,152 to 1 (required: 100 to 1)"
    )
    story.see(500, 500)
    assert story.reason().endswith("evidence more than 1,000,000,000 to 1 (required: 100 to 1)")
    story.see(50_000, 50_000)
    assert 1e299 < story.statistic < float("inf")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "Field required"),
        ({"p0": 0.0}, "greater than 0"),
        ({"p0": 1.0}, "less than 1"),
        ({"p0": 0.01, "alpha": 1.0}, "less than 1"),
        ({"p0": 0.01, "prior_b": 0.5}, "greater than or equal to 1"),
        ({"p0": 0.01, "window": "1h", "restart": "1h"}, "restart (1h) must be longer than window (1h)"),
    ],
)
def test_wrong_parameters_are_refused(params: dict[str, Any], message: str) -> None:
    """Each message says what would be valid."""
    with pytest.raises(ValidationError) as caught:
        build(StrategySpec("error_e_process", params))
    assert message in str(caught.value)


def test_a_window_may_be_longer_than_a_slot_but_a_run_holds_many() -> None:
    """Hourly counts in runs of two days."""
    story = Story(step=HOUR, window="1h", restart="2d")
    assert story.see(1, 100, 48) == ("OK", "NONE")
    assert story.counted() == (48.0, 4800.0)
    story.see(0, 100)
    assert story.counted() == (0.0, 100.0)
