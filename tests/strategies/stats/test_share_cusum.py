"""CUSUMs of an error rate: evidence, its weight and bound, and a fallen rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.strategies.stats.share_cusum import (
    CALIBRATION,
    EXPONENTS,
    LESSON,
    ShareChange,
    ShareCusum,
    log_ratios,
    weights,
)


@pytest.mark.parametrize(("index", "ratio"), [(0, 2.0), (1, 1.3), (2, 0.5)])
def test_log_ratios_are_binomial_likelihood_ratios(index: int, ratio: float) -> None:
    """Compared with scipy, for a multiple of the usual odds."""
    odds = ratio * 0.05 / 0.95
    expected = stats.binom.logpmf(9, 60, odds / (1 + odds)) - stats.binom.logpmf(9, 60, 0.05)
    found = log_ratios(np.array([9.0]), np.array([60.0]), np.array([0.05]))[0, index]
    assert found == pytest.approx(expected, abs=1e-12)


START = 1_700_006_400_000
STEP = 5 * MINUTE
CALM = np.ones(1, np.bool_)


def run(
    cusum: ShareCusum, own: np.ndarray, shares: list[float], first: int = 0, limit: float = 8.0,
    requests: float = 1000.0,
) -> list[float]:  # fmt: skip
    """Return the highest CUSUM of each sample with these shares of errors among the requests."""
    totals = []
    passed = np.full(1, STEP)
    for number, share in enumerate(shares, first):
        errors, total, slot = np.array([requests * share]), np.array([requests]), START + number * STEP
        nothing = np.zeros(1, np.bool_)
        found = cusum.step(errors, total, slot, passed, passed, limit, ~nothing, own)
        cusum.learn(errors, total, slot, found, limit, nothing, np.zeros(1), nothing, own)
        totals.append(float(found.total[0]))
    return totals


def test_a_doubled_rate_adds_up_and_a_usual_one_does_not() -> None:
    cusum = ShareCusum()
    own = np.zeros(1, list(cusum.fields))
    usual = run(cusum, own, [0.05] * 2 * 288)
    assert max(usual[288:]) < 1.0
    doubled = run(cusum, own, [0.1] * 4, 2 * 288)
    assert doubled == sorted(doubled)
    assert doubled[-1] > 8.0


@pytest.mark.parametrize(("passed", "share"), [(STEP, 1 / 3), (30 * MINUTE, 1 / 2), (HOUR, 1 / 2), (DAY, 1 / 2)])
def test_evidence_of_one_window_has_an_upper_bound(passed: int, share: float) -> None:
    """By a share of the limit that grows with the time between windows; small evidence is added as it is."""
    own, errors, requests = np.zeros(2, list(ShareCusum.fields)), np.array([9.0, 200.0]), np.full(2, 1000.0)
    own["errors"], own["requests"], own["lived"] = 400.0, 100_000.0, 30 * DAY
    time = np.full(2, passed)
    usual = float(ShareCusum().step(errors, requests, START, time, time, 9.0, CALM[[0, 0]], own).usual[0])
    odds = 2 * usual / (1 - usual)
    small = stats.binom.logpmf(9, 1000, odds / (1 + odds)) - stats.binom.logpmf(9, 1000, usual)
    assert own["sums"][:, 0] == pytest.approx([max(small, 0.0), 9.0 * share], abs=1e-6)


def learnt(errors: np.ndarray) -> np.ndarray:
    """Return the weights (3,) after samples of 1000 requests with these errors (n,), every ten minutes."""
    own, time = np.zeros(1, list(ShareCusum.fields)), np.full(1, 2 * STEP)
    requests, nothing = np.full(1, 1000.0), np.zeros(1, np.bool_)
    for number, count in enumerate(errors.tolist()):
        slot = START + number * 2 * STEP
        found = ShareCusum().step(np.array([count]), requests, slot, time, time, 10.0, CALM, own)
        ShareCusum.learn(np.array([count]), requests, slot, found, 10.0, nothing, np.zeros(1), nothing, own)
    return np.asarray(weights(own["moments"])[0])


def test_binomial_errors_keep_their_weight_and_overdispersed_ones_lose_it() -> None:
    """Twenty times the binomial variance: the evidence of a rise weighs about a twentieth, and never the whole."""
    draw = np.random.default_rng(33)
    assert learnt(draw.binomial(1000, 0.05, 2000).astype(float))[0] == 1.0
    shares = draw.beta(0.05 * 50, 0.95 * 50, 2000)
    weight = learnt(draw.binomial(1000, shares).astype(float))[0]
    assert 0.02 < weight < 0.2


def test_the_weight_is_interpolated_where_the_moment_passes_one() -> None:
    """The largest exponent at first; the last if none fits; between 1/2 and 1/4, the logarithm is halved."""
    moments = np.full((1, 3, EXPONENTS.size), 0.9, np.float32)
    moments[0, 1] = 2.0
    moments[0, 2, :2] = 1.1
    assert weights(moments)[0] == pytest.approx([1.0, EXPONENTS[-1], EXPONENTS[2] * 2**0.5], rel=1e-5)


def test_one_step_of_a_daily_counter_teaches_a_bounded_lesson() -> None:
    """A jump to ten times the rate raises no mean of likelihood ratios by more than LESSON."""
    own, time = np.zeros(1, list(ShareCusum.fields)), np.full(1, DAY)
    own["errors"], own["requests"], own["lived"] = 400.0, 100_000.0, 60 * DAY
    ShareCusum().step(np.array([40_000.0]), np.array([1e6]), START, time, time, 10.0, CALM, own)
    assert 0 < own["moments"][0, 0].max() <= LESSON + DAY / CALIBRATION


def test_a_restart_clears_the_sums_and_keeps_the_usual_rate() -> None:
    cusum = ShareCusum()
    own = np.zeros(1, list(cusum.fields))
    run(cusum, own, [0.05] * 288 + [0.1] * 3)
    before = own["errors"].copy(), own["requests"].copy()
    cusum.restart(own)
    assert (own["sums"] == 0).all()
    assert (own["errors"], own["requests"]) == before


def test_a_fallen_rate_becomes_the_usual_one() -> None:
    cusum = ShareCusum()
    own = np.zeros(1, list(cusum.fields))
    run(cusum, own, [0.2] * 288)
    run(cusum, own, [0.02] * 288, 288)
    usual = (own["errors"] / own["requests"])[0]
    assert 0.015 < usual < 0.03


def grown(lived: int = 30 * DAY) -> np.ndarray:
    """Return the state (1,) of a model with an error rate of 0.05."""
    own = np.zeros(1, list(ShareCusum.fields))
    own["errors"], own["requests"], own["lived"] = 500.0, 10_000.0, lived
    return own


def step(own: np.ndarray, errors: float, passed: int, seen: int, calm: np.ndarray = CALM) -> ShareChange:
    """Evaluate errors among 1000 requests, learn from them, and return the result."""
    counts, requests, nothing = np.array([errors]), np.array([1000.0]), np.zeros(1, np.bool_)
    found = ShareCusum().step(counts, requests, START, np.full(1, passed), np.full(1, seen), 10.0, calm, own)
    ShareCusum.learn(counts, requests, START, found, 10.0, nothing, np.zeros(1), nothing, own)
    return found


def test_the_first_window_after_a_night_off_counts_no_more_than_an_hour() -> None:
    """Neither for the usual rate nor for the weight of evidence: most of the time was not observed."""
    after_gap, after_hour = grown(), grown()
    step(after_gap, 100.0, 20 * HOUR, HOUR)
    step(after_hour, 100.0, HOUR, HOUR)
    for name in ("errors", "requests", "moments", "sums", "hour_errors"):
        assert after_gap[name].tolist() == after_hour[name].tolist()


def test_a_day_of_a_daily_counter_does_not_replace_the_usual_rate() -> None:
    """The usual rate is a mean of at least five windows: the newest has a weight of 1 - exp(-1/5)."""
    own = grown()
    own["requests"], own["errors"] = 5000.0, 250.0
    step(own, 100.0, DAY, DAY)
    assert float((own["errors"] / own["requests"])[0]) < 0.07


@pytest.mark.parametrize(
    ("span", "lived", "used"), [(HOUR, 30 * DAY, True), (DAY, 30 * DAY, False), (HOUR, DAY // 2, False)]
)
def test_the_factor_of_an_hour_is_for_windows_within_one_hour_and_after_the_first_day(
    span: int, lived: int, used: bool
) -> None:
    own = grown(lived)
    own["hour_errors"], own["hour_expected"] = 200.0, 100.0
    factor = float(step(own, 50.0, span, span).factor[0])
    assert factor == pytest.approx(220 / 120 if used else 1.0)


def test_the_weight_of_evidence_is_not_learnt_from_a_likely_rise() -> None:
    """Neither while an alarm is on, nor while the sum is above half of the limit of 10."""
    for sums, calm, learns in ((0.0, True, True), (0.0, False, False), (6.0, True, False)):
        own = grown()
        own["sums"][:, 0] = sums
        step(own, 100.0, STEP, STEP, np.array([calm]))
        assert bool(own["moments"].any()) is learns


def test_a_rise_on_the_first_day_is_not_learnt_as_usual() -> None:
    """The sum for twice the odds is above half of the limit, and the rate was never as high at this hour."""
    own = grown(6 * HOUR)
    own["sums"][:, 0] = 8.0
    counts, requests, odd = np.array([100.0]), np.array([1000.0]), np.ones(1, np.bool_)
    found = ShareCusum().step(counts, requests, START, np.full(1, STEP), np.full(1, STEP), 10.0, CALM, own)
    ShareCusum.learn(counts, requests, START, found, 10.0, odd, np.zeros(1), ~odd, own)
    assert own["errors"].tolist() == [500.0]


def wandering(spread: float, tested: int) -> float:
    """Return the variance learnt in `tested` days of 1000 requests with an error rate that wanders over four hours.

    spread: standard deviation of the logarithm of the odds.
    """
    draw, own, phi = np.random.default_rng(35), grown(), float(np.exp(-1 / 48))
    own["wander"], odds = 0.0, 0.0
    for _ in range(tested * 288):
        odds = phi * odds + np.sqrt(1 - phi**2) * spread * draw.standard_normal()
        step(own, float(draw.binomial(1000, 1 / (1 + 19 * np.exp(-odds)))), STEP, STEP)
    return 1 + float(own["wander"][0])


def test_the_variance_of_hours_shows_a_rate_that_wanders() -> None:
    """About 1 for binomial errors; with a spread of 0.3, 24,000 requests in six hours have about 50 times as much."""
    assert 0.5 < wandering(0.0, 14) < 1.5
    assert 15 < wandering(0.3, 14) < 150


def test_evidence_about_a_wandering_rate_weighs_less() -> None:
    steady, wandering = grown(), grown()
    wandering["wander"] = 9.0
    for own in (steady, wandering):
        step(own, 65.0, STEP, STEP)
    assert float(wandering["sums"][0, 0]) == pytest.approx(float(steady["sums"][0, 0]) / 10, rel=0.01)


def test_an_alarm_teaches_no_wandering_and_its_change_is_forgotten_when_it_begins() -> None:
    """Otherwise a change would devalue the next one."""
    own = grown()
    step(own, 150.0, STEP, STEP, ~CALM)
    assert own["wander"][0] == 0.0
    assert own["beyond"][0] > 50
    counts, requests, hit = np.array([150.0]), np.array([1000.0]), np.ones(1, np.bool_)
    found = ShareCusum().step(counts, requests, START, np.full(1, STEP), np.full(1, STEP), 10.0, ~CALM, own)
    ShareCusum.learn(counts, requests, START, found, 10.0, hit, np.zeros(1), hit, own)
    assert (own["beyond"][0], own["noise"][0]) == (0.0, 0.0)


def test_a_rate_below_the_least_one_that_is_evaluated_does_not_wander() -> None:
    """3e-5, which varies as binomial errors do, for two weeks: the evidence of a tenfold rate keeps its weight."""
    cusum, draw = ShareCusum(), np.random.default_rng(17)
    own = np.zeros(1, list(cusum.fields))
    run(cusum, own, list(draw.binomial(1_000_000, 3e-5, 14 * 288) / 1_000_000), requests=1e6)
    assert float(own["wander"][0]) < 1.0
    assert max(run(cusum, own, [3e-4] * 6, 14 * 288, requests=1e6)) > 8.0


def test_a_rise_up_to_the_highest_rate_of_such_times_becomes_the_usual_one() -> None:
    """When its sum would raise an alarm: at the third window. A higher one is learnt slowly, until it is an alarm.

    The rate is 5 %, and then 20 %; every hour of the day was the same.
    """
    for highest in (0.19, 0.21):
        own, usual = grown(), []
        own["hour_errors"] = own["hour_expected"] = 5000.0
        for number in range(5):
            counts, requests, nothing = np.array([200.0]), np.array([1000.0]), np.zeros(1, np.bool_)
            slot = START + number * STEP
            found = ShareCusum().step(counts, requests, slot, np.full(1, STEP), np.full(1, STEP), 9.9, CALM, own)
            ShareCusum.learn(counts, requests, slot, found, 9.9, nothing, np.full(1, highest), nothing, own)
            usual.append(float(own["errors"][0] / own["requests"][0]))
        assert usual[1] < 0.1
        assert (max(usual) > 0.18) is (highest > 0.2)


def test_a_rate_above_the_highest_one_that_is_evaluated_is_no_rise() -> None:
    """20,000 errors of 20,000 requests for days: "100 %, usually 100 %" was an alarm."""
    own = np.zeros(1, list(ShareCusum.fields))
    assert max(run(ShareCusum(), own, [1.0] * 600, requests=20_000.0)) < 1.0
