"""Histograms whose windows hold too few observations: every observation is compared once, sooner or later."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from bridge.domain.rule import StrategySpec
from bridge.domain.times import HOUR, MINUTE, format_duration
from bridge.domain.verdict import Cause, Code
from bridge.strategies.histograms import HistogramVerdicts
from bridge.strategies.registry import build
from bridge.strategies.stats import histogram_pool
from tests.support.histograms import INF, NAN, batch

SEED = random.randrange(10**6)
BOUNDS = (0.1, 0.2, 0.4, 0.8, INF)
CALM, SLOW = [0.3, 0.3, 0.2, 0.1, 0.1], [0.05, 0.1, 0.2, 0.35, 0.3]
EXAMPLES: dict[str, dict[str, Any]] = {
    "chi_square": {}, "ks": {}, "psi": {}, "jensen_shannon": {}, "wasserstein": {"min_effect": 0.05},
}  # fmt: skip
BEFORE = 7 * 24 * HOUR  # offset of the reference
AT = 1_000_000 * HOUR


def told(name: str, slots: list[int], steps: dict[int, np.ndarray], window: int) -> list[tuple[int, int]]:
    """Return code and cause at each slot; steps: counts per bucket by time, as a counter shows them in a range."""
    strategy = build(StrategySpec(name, EXAMPLES[name] | {"window": format_duration(window)}))
    state, found = strategy.new_state(1), []
    times = np.array(sorted(steps))
    for slot in slots:
        rows = []
        for end in (slot, slot - BEFORE):
            inside = times[(times > end - window) & (times <= end)].tolist()
            rows.append(np.cumsum(np.sum([np.zeros(5), *(steps[time] for time in inside)], axis=0)).tolist())
        one = replace(batch([rows[0]], [rows[1]], BOUNDS), slot=slot)
        verdicts = strategy.analyse_batch(one, state)
        found.append((int(verdicts.code[0]), int(verdicts.cause[0])))
    return found


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@seed(38)  # of many comparisons, one may be a false alarm
@settings(max_examples=6, deadline=None, phases=[Phase.generate])  # shrinking thousands of slots takes minutes
@given(
    period=st.sampled_from([7, 20, 50, 95, 180]), phase=st.integers(0, 179), parts=st.sampled_from([1, 2, 3, 5]),
    each=st.sampled_from([25, 60, 300]), window=st.sampled_from([15, 30, 60]), drawn=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_slow_and_sparse_histograms_are_compared(
    name: str, period: int, phase: int, parts: int, each: int, window: int, drawn: int
) -> None:
    """Counters that step at any period and phase, however the week before is aligned: calm, then found when slower."""
    rng = np.random.default_rng(drawn)
    change, end = 18 * 60, 48 * 60
    minutes = range(phase - 8 * 24 * 60, end, period)
    steps = {AT + minute * MINUTE: rng.multinomial(each, SLOW if minute >= change else CALM) for minute in minutes}
    slots = [AT + minute * MINUTE for minute in range(0, end, window // parts)]
    found = told(name, slots, steps, window * MINUTE)
    # A side needs 100 observations; the two sides need not have their steps in the same slots.
    wait = (2 * (period * -(-100 // each) + window) + 2 * window) * MINUTE
    compared = [slot for slot, (_, cause) in zip(slots, found, strict=True) if cause != Cause.INSUFFICIENT]
    assert compared[0] <= AT + wait
    calm = [code for slot, (code, _) in zip(slots, found, strict=True) if slot < AT + change * MINUTE]
    assert Code.BREACHED not in calm
    after = [s for s, (code, _) in zip(slots, found, strict=True) if code == Code.BREACHED]
    if name in {"ks", "wasserstein"} and not after:  # what 100 observations in few buckets prove is not enough
        assert Cause.BLIND in [cause for _, cause in found]
        return
    assert after[0] <= AT + change * MINUTE + 2 * wait


@seed(40)  # of many comparisons, one may be a false alarm
@settings(max_examples=12, deadline=None, phases=[Phase.generate])
@given(
    phase=st.integers(0, 1439), parts=st.integers(1, 4), window=st.sampled_from([15, 30, 60]),
    each=st.sampled_from([60, 300]), reset=st.integers(0, 5 * 24 * 60), drawn=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_histogram_that_grows_once_a_day_is_compared(
    phase: int, parts: int, window: int, each: int, reset: int, drawn: int
) -> None:
    """A nightly job, at any minute: compared within three days, and found within two days of observations.

    A restart of the model loses the half of a step that no scrape has shown.
    """
    rng, day = np.random.default_rng(drawn), 24 * 60
    change, end = 5 * day, 10 * day
    minutes = range(phase - 9 * day, end, day)
    steps = {AT + minute * MINUTE: rng.multinomial(each, SLOW if minute >= change else CALM) for minute in minutes}
    lost = max(time for time in steps if time <= AT + reset * MINUTE)
    steps[lost] = steps[lost] // 2
    slots = [AT + minute * MINUTE for minute in range(0, end, window // parts)]
    found = told("chi_square", slots, steps, window * MINUTE)
    needed = -(-100 // each)  # steps until both sides have their observations
    compared = [slot for slot, (_, cause) in zip(slots, found, strict=True) if cause != Cause.INSUFFICIENT]
    assert compared[0] <= AT + (needed + 2) * day * MINUTE
    after = [slot for slot, (code, _) in zip(slots, found, strict=True) if code == Code.BREACHED]
    assert after
    assert AT + change * MINUTE <= after[0] <= AT + (change + (2 * needed + 1) * day) * MINUTE


@seed(SEED)
@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 150), min_size=1, max_size=60), every=st.sampled_from([1, 2, 3, 4]),
    drawn=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_no_observation_is_added_twice(sizes: list[int], every: int, drawn: int) -> None:
    """Slots that overlap, gaps and late answers: between two comparisons at most what has come since is pooled."""
    print(f"seed {SEED}")
    rng = np.random.default_rng(drawn)
    window, state = 4, np.zeros(1, histogram_pool.POOL)
    came = 0
    for slot in range(0, len(sizes), every):
        seen = sum(sizes[max(0, slot - window + 1) : slot + 1])
        came = sum(sizes[: slot + 1])
        if rng.random() < 0.2:  # no answer
            continue
        one = replace(batch([[seen, seen]], [[1000.0 + slot, 1000.0 + slot]], (1.0, INF)), slot=1_000_000 + slot)
        histogram_pool.add(one, np.arange(1), state, window, 10**6)
        assert state["counts"][0, 0, 1] <= came
        assert state["counts"][0, 0, 0] == state["counts"][0, 0, 1]


def test_dense_windows_join_without_a_gap() -> None:
    """Every observation of a window four slots long is added once, in any phase."""
    for phase in range(4):
        state, came = np.zeros(1, histogram_pool.POOL), 0
        for slot in range(phase, 41):
            seen = float(min(slot - phase + 1, 4))
            one = replace(batch([[seen, seen]], [[1.0, 1.0]], (1.0, INF)), slot=1_000_000 + slot)
            histogram_pool.add(one, np.arange(1), state, 4, 10**6)
            came = int(state["counts"][0, 0, 1])
        assert came == 1 + (40 - phase) // 4 * 4


def test_a_reference_that_stays_is_added_once() -> None:
    """The histogram of the training data never grows; without enough observations of its own it is not enough."""
    small, changing = [30.0, 60.0], [20.0, 40.0]
    strategy = build(StrategySpec("chi_square", {"window": "1h"}))
    state = strategy.new_state(1)
    codes = []
    for hour in range(30):
        one = replace(batch([changing], [small], (1.0, INF)), slot=AT + hour * HOUR)
        codes.append(int(strategy.analyse_batch(one, state).cause[0]))
    assert set(codes) == {Cause.INSUFFICIENT}


def test_old_windows_fade_while_the_other_side_waits() -> None:
    """A day of 60 observations an hour waits for its reference: the last hours count."""
    strategy = build(StrategySpec("chi_square", {"window": "1h"}))
    state = strategy.new_state(1)
    for hour in range(30):
        now = [60.0, 60.0, 60.0] if hour < 20 else [20.0, 60.0, 60.0]
        reference = [0.0] * 3 if hour < 29 else [170.0, 500.0, 500.0]
        one = replace(batch([now], [reference], (1.0, 2.0, INF)), slot=AT + hour * HOUR)
        verdicts = strategy.analyse_batch(one, state)
    assert state is not None
    assert verdicts.code[0] == Code.OK
    assert not state["counts"].any()


def test_bounds_that_change_start_again() -> None:
    """Counts of other bounds cannot be added."""
    strategy = build(StrategySpec("chi_square", {"window": "1h"}))
    state = strategy.new_state(1)
    for hour, bounds in enumerate([(1.0, INF), (1.0, INF), (2.0, INF)]):
        one = replace(batch([[20.0, 40.0]], [[20.0 + hour, 45.0]], bounds), slot=AT + hour * HOUR)
        strategy.analyse_batch(one, state)
    assert state is not None
    assert state["counts"][0, 0, 1] == 40.0


def test_means_and_missing_bounds_are_of_all_windows() -> None:
    """Sums are added like counts; a bound that one window lacks is left out."""
    strategy = build(StrategySpec("chi_square", {"window": "1h", "min_effect": 0.05}))
    state = strategy.new_state(1)
    for hour in range(3):
        now = [2.0, NAN if hour == 1 else 4.0, 40.0]
        one = batch([now], [[30.0, 31.0 + hour, 40.0]], (0.1, 0.2, INF), sum=[12.0], reference_sum=[4.0])
        one = replace(one, slot=AT + hour * HOUR)
        verdicts = strategy.analyse_batch(one, state)
    assert isinstance(verdicts, HistogramVerdicts)
    assert verdicts.pooled is not None
    assert verdicts.pooled.batch.column("buckets")[0].tolist()[::2] == [6.0, 120.0]
    assert np.isnan(verdicts.pooled.batch.column("buckets")[0, 1])
    assert strategy.describe(one, 0, verdicts) == (
        "mean of latency +200 ms, 300 ms instead of 100 ms; chi-square 122.5 (df 1), p 1.8e-28 (limit 0.0001);"
        " 70 % of observations in different buckets (limit 5 %); 120 observations, 120 in the reference"
        " (several windows)"
    )


def test_without_a_window_or_with_many_bounds_nothing_is_added() -> None:
    """Samples whose range is unknown could overlap."""
    assert build(StrategySpec("chi_square", {})).new_state(1) is None
    bounds = (*range(1, histogram_pool.MOST + 1), INF)
    row = [40.0] * len(bounds)
    strategy = build(StrategySpec("chi_square", {"window": "1h"}))
    state = strategy.new_state(1)
    for hour in range(5):
        one = replace(batch([row], [[30.0 + hour] * len(bounds)], bounds), slot=AT + hour * HOUR)
        assert strategy.analyse_batch(one, state).cause[0] == Cause.INSUFFICIENT
