"""Counters that step less often than the window: every step counts once, as if it had come evenly."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND, format_duration
from bridge.domain.verdict import Code
from bridge.strategies.registry import build
from bridge.strategies.stats.counts import take_due
from tests.support.counters import START, Counters

PERIODS = (10 * MINUTE, 20 * MINUTE, HOUR, DAY)
WINDOWS = (5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR)
BAD = 5 * DAY  # from when on many requests fail
DAYS = 8
SEED = random.randrange(10**6)
PARAMS: dict[str, dict[str, Any]] = {
    "auto": {},
    "burn_rate": {
        "slo": 0.98, "pairs": [{"long": "2d", "short": "1d", "factor": 1.2}], "min_coverage": 0.4, "confidence": 0.5,
    },
    "cost_aware": {"retraining_cost": 10_000},
    "error_e_process": {"p0": 0.02, "alpha": 0.0001, "restart": "2d"},
}  # fmt: skip

Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]


def verdicts(name: str, window: int, every: int, counters: Counters) -> Codes:
    """Return the codes (n, k) of every slot."""
    one = build(StrategySpec(name, PARAMS[name] | {"window": format_duration(window)}))
    state = one.new_state(len(counters.phases))
    table, index = ModelTable(), np.arange(len(counters.phases), dtype=np.int32)
    codes = []
    for slot in range(START + DAY // 2, START + DAYS * DAY, every):
        errors, total = counters.increase(slot, window)
        columns = {"errors": errors, "total": total}
        one_slot = EventBatch("failures", EventKind.INFERENCE_ERROR, slot, table, index, columns)
        codes.append(one.analyse_batch(one_slot, state).code)
    return np.array(codes)


def first(hits: Flags, every: int) -> NDArray[np.int64]:
    """Return the first hit of each column (k,), in ms since the first slot; a large number without one."""
    return np.where(hits.any(axis=0), hits.argmax(axis=0) * every, 1000 * DAY)


@pytest.mark.timeout(900)  # thousands of slots each: slow on a busy machine
@pytest.mark.parametrize("name", sorted(PARAMS))
@pytest.mark.parametrize("period", PERIODS, ids=format_duration)
@seed(39)
@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(data=st.data())
def test_the_same_verdicts_as_of_a_dense_twin(name: str, period: int, data: st.DataObject) -> None:
    """At every phase: judged as early, calm while it is, and found within a step and a window of its twin."""
    window = data.draw(st.sampled_from(WINDOWS))
    every = window // data.draw(st.sampled_from([2, 3, 5]))
    scrape = data.draw(st.sampled_from([15 * SECOND, 30 * SECOND, MINUTE]))
    scrape_phase = data.draw(st.integers(0, scrape // 1000 - 1)) * 1000
    phases = np.sort(np.append(np.arange(0, period, period // 12), data.draw(st.integers(0, period - 1))))
    kept: dict[str, Any] = {"scrape": scrape, "scrape_phase": scrape_phase, "bad": START + BAD}
    slow = verdicts(name, window, every, Counters(period, phases, **kept))
    twin = verdicts(name, window, every, Counters(scrape, np.zeros(1, np.int64), **kept))
    late = 2 * period + window + every
    known, wanted = (first(codes != Code.INCONCLUSIVE, every) for codes in (slow, twin))
    assert (known <= wanted + late).all(), (known / HOUR, wanted / HOUR)
    result, expected = (first(codes == Code.BREACHED, every) for codes in (slow, twin))
    began = BAD - DAY // 2
    assert began <= expected < 100 * DAY
    assert (result >= began).all(), result / HOUR
    assert (result <= expected + late).all(), (result / HOUR, expected / HOUR)


@seed(SEED)
@settings(max_examples=200, deadline=None)
@given(
    window=st.integers(2, 60), every=st.integers(1, 30), periods=st.lists(st.integers(1, 300), min_size=1, max_size=60),
    begin=st.integers(0, 59),
)  # fmt: skip
def test_every_step_is_counted_once(window: int, every: int, periods: list[int], begin: int) -> None:
    """Steps at any distance, in units of a scrape; slots that come at least twice a window and fit into it."""
    print(f"seed {SEED}")
    every = max(1, window // max(2, window // every))
    window = every * (window // every)
    steps = np.cumsum(periods) + 1000
    following, counted = np.zeros(1, np.int64), 0
    for slot in range(1000 - begin, int(steps[-1]) + 2 * window, every):
        seen = np.count_nonzero((steps > slot - window) & (steps <= slot))
        counted += seen * int(take_due(following, np.array([seen > 0]), slot, window)[0])  # type: ignore[assignment]
    assert counted == len(steps)


@seed(SEED)
@settings(max_examples=200, deadline=None)
@given(
    window=st.integers(2, 60), rests=st.lists(st.integers(0, 300), min_size=1, max_size=40), share=st.floats(0.05, 1.0),
    drawn=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_gaps_and_late_answers_count_no_step_twice_and_lose_none_that_is_seen(
    window: int, rests: list[int], share: float, drawn: int
) -> None:
    """Slots are missing at random, or their answers are unusable: what any other slot of the window shows counts once.

    Steps are at least two windows apart.
    """
    print(f"seed {SEED}")
    rng = np.random.default_rng(drawn)
    steps = np.cumsum([2 * window + rest for rest in rests]) + 1000
    slots = np.arange(1000, int(steps[-1]) + 2 * window)
    slots = slots[rng.random(len(slots)) < share]
    following, counted = np.zeros(1, np.int64), 0
    for slot in slots.tolist():
        seen = np.count_nonzero((steps > slot - window) & (steps <= slot))
        counted += seen * int(take_due(following, np.array([seen > 0]), slot, window)[0])  # type: ignore[assignment]
    shown = [bool(((slots >= step) & (slots < step + window)).any()) for step in steps.tolist()]
    assert counted == sum(shown)


def test_a_window_whose_last_number_never_comes_is_judged() -> None:
    """A sample per minute, with the last of each five missing: evaluated when the next window begins."""
    one = build(StrategySpec("auto", {}))
    state = one.new_state(2)
    table, index = ModelTable(), np.arange(2, dtype=np.int32)
    draw = np.random.default_rng(5)
    codes = []
    for minute in range(3 * 24 * 60):
        value = float(draw.normal(100, 1)) * (5 if minute >= 3 * 24 * 60 - 30 else 1)
        whole = np.array([value, np.nan if minute % 5 == 4 else value])
        result = one.analyse_batch(
            EventBatch("level", EventKind.CUSTOM, START + minute * MINUTE, table, index, {"value": whole}), state
        )
        codes.append(result.code.tolist())
    assert codes[1500][0] == codes[1500][1] == Code.OK
    assert codes[-2] == [Code.BREACHED] * 2
