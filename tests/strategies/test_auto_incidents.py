"""auto: an incident of a value hides no later one, whatever their sizes, lengths and times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.domain.verdict import Code
from bridge.strategies.base import StateColumn
from bridge.strategies.registry import build
from tests.support.counters import START

SLOT, MODELS, QUIET = 5 * MINUTE, 20, 15 * DAY


@dataclass
class Latencies:
    """Latencies of 20 models with a daily wave and noise of 10 %, and how far `auto` has seen them."""

    state: StateColumn
    now: int
    draw: np.random.Generator

    def begins(self, length: int, factor: float = 1.0) -> int:
        """Go on for `length` ms, `factor` times as slow, and return in how many models an alarm begins."""
        strategy, table, index = build(StrategySpec("auto", {})), ModelTable(), np.arange(MODELS, dtype=np.int32)
        found, before = np.zeros(MODELS, np.bool_), self.state["on"].copy()
        for slot in range(self.now, self.now + length, SLOT):
            wave = 0.2 * np.sin(2 * np.pi * (slot % DAY) / DAY)
            value = 0.1 * factor * np.exp(wave + self.draw.normal(0, 0.1, MODELS))
            batch = EventBatch("p95", EventKind.LATENCY, slot, table, index, {"value": value}, unit_ms=1000.0)
            now = strategy.analyse_batch(batch, self.state).code == Code.BREACHED
            found, before = found | (now & ~before), now
        self.now += length
        return int(found.sum())


@pytest.fixture(scope="module")
def quiet() -> Latencies:
    state = build(StrategySpec("auto", {})).new_state(MODELS)
    assert state is not None
    found = Latencies(state, START, np.random.default_rng(70))
    found.begins(QUIET)
    return found


@seed(71)
@settings(max_examples=12, deadline=None)
@given(
    hour=st.integers(0, 23), size=st.floats(2.0, 10.0), length=st.integers(1, 24), rest=st.integers(6, 19),
    second=st.floats(1.8, 3.0), drawn=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_second_rise_on_the_same_day_is_found(
    quiet: Latencies, hour: int, size: float, length: int, rest: int, second: float, drawn: int
) -> None:
    """The first lasts up to two hours, and ends at least six hours before; the second one need not be as large."""
    world = Latencies(quiet.state.copy(), quiet.now, np.random.default_rng(drawn))
    world.begins(hour * HOUR)
    assert world.begins(length * SLOT, size) >= 0.9 * MODELS or length < 3
    world.begins(rest * HOUR)
    assert world.begins(2 * HOUR, second) >= 0.9 * MODELS


@seed(72)
@settings(max_examples=6, deadline=None)
@given(
    size=st.floats(2.0, 10.0), length=st.integers(3, 24), days=st.integers(2, 5), second=st.floats(1.8, 3.0),
    drawn=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_second_rise_at_the_same_hour_of_a_later_day_is_found(
    quiet: Latencies, size: float, length: int, days: int, second: float, drawn: int
) -> None:
    """What the first one has taught about this hour does not hide it."""
    world = Latencies(quiet.state.copy(), quiet.now, np.random.default_rng(drawn))
    world.begins(length * SLOT, size)
    world.begins(days * DAY - length * SLOT)
    assert world.begins(2 * HOUR, second) >= 0.9 * MODELS


@pytest.mark.parametrize("second", [2.0, 4.0])
def test_a_rise_three_hours_after_a_larger_one_is_found(quiet: Latencies, second: float) -> None:
    """The first one is over, and so is its alarm."""
    world = Latencies(quiet.state.copy(), quiet.now, np.random.default_rng(73))
    world.begins(10 * HOUR)
    assert world.begins(2 * HOUR, 5.0) == MODELS
    world.begins(3 * HOUR)
    found = world.begins(2 * HOUR, second)
    print(f"{found} of {MODELS}")
    assert found > MODELS / 2


@pytest.mark.parametrize("kind", ["sawtooth", "nightly job", "office hours"])
def test_a_jump_back_to_a_level_of_the_first_day_raises_no_alarm(kind: str) -> None:
    """Only the first jump of a job is new. At the end of a saw's tooth, one model in twenty may be cautious."""
    strategy = build(StrategySpec("auto", {}))
    state = strategy.new_state(MODELS)
    assert state is not None
    draw, table, index = np.random.default_rng(73), ModelTable(), np.arange(MODELS, dtype=np.int32)
    begins, before = np.zeros(MODELS, np.int64), np.zeros(MODELS, np.bool_)
    for slot in range(START, START + 4 * DAY, SLOT):
        hour = slot % DAY / HOUR
        busy = {"nightly job": hour >= 22, "office hours": 8 <= hour < 18}
        level = hour / 8 if kind == "sawtooth" else 3.0 * busy[kind]
        value = {"value": 20 + level + draw.normal(0, 0.1, MODELS)}
        batch = EventBatch("depth", EventKind.CUSTOM, slot, table, index, value)
        now = strategy.analyse_batch(batch, state).code == Code.BREACHED
        begins, before = begins + (now & ~before), now
    assert int(np.maximum(begins - (kind != "sawtooth"), 0).sum()) <= 1, begins


def test_an_incident_of_a_day_has_no_echo_in_the_weeks_after_it() -> None:
    """What happens within an alarm is no habit of its weekday: in 40 models, no alarm one to three weeks later."""
    strategy, models = build(StrategySpec("auto", {})), 40
    state = strategy.new_state(models)
    assert state is not None
    draw, table, index = np.random.default_rng(5), ModelTable(), np.arange(models, dtype=np.int32)
    found, echoes, before = 0, 0, np.zeros(models, np.bool_)
    for slot in range(START, START + 38 * DAY, SLOT):
        day = (slot - START) / DAY
        level = 0.5 * np.sin(2 * np.pi * day) + (1.0 if 14.3 <= day < 15.3 else 0.0)
        value = {"value": 20 + level + draw.normal(0, 0.05, models)}
        batch = EventBatch("x", EventKind.CUSTOM, slot, table, index, value)
        now = strategy.analyse_batch(batch, state).code == Code.BREACHED
        begins, before = int((now & ~before).sum()), now
        found, echoes = found + begins * (14.3 <= day < 14.5), echoes + begins * (day > 17)
    assert (found, echoes) == (models, 0)
