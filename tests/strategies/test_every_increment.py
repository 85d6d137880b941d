"""Every increment of a counter is counted once: phases, steps, windows, scrapes, resets, gaps, late samples."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import SECOND
from bridge.strategies.registry import build
from tests.support.counters import START

SEED = random.randrange(10**6)
Times = NDArray[np.int64]


def scraped(steps: Times, resets: Times, times: Times) -> Times:
    """Return the increments (n,) between scrapes: a value below the last one is a start from 0, as in Prometheus."""
    found, before = [], 0
    for time in times.tolist():
        since = max([reset for reset in resets.tolist() if reset <= time], default=0)
        value = 10 * int(((steps > since) & (steps <= time)).sum())
        found.append(value if value < before else value - before)
        before = value
    return np.array(found, np.int64)


def counted(slots: list[int], window: int, times: Times, increments: Times, visible: Times) -> tuple[int, int]:
    """Return the requests and the errors that error_e_process has counted; a tenth of the requests fails.

    visible: (n,) when each scrape has arrived.
    """
    strategy = build(StrategySpec("error_e_process", {"p0": 0.9, "restart": "400d", "window": f"{window}s"}))
    state, table, index = strategy.new_state(1), ModelTable(), np.zeros(1, np.int32)
    assert state is not None
    for slot in slots:
        inside = (times > slot - window) & (times <= slot) & (visible <= slot)
        total = float(increments[inside].sum())
        columns = {"errors": np.array([total / 10]), "total": np.array([total])}
        at = START + slot * SECOND
        strategy.analyse_batch(EventBatch("failures", EventKind.INFERENCE_ERROR, at, table, index, columns), state)
    return int(state["total"][0, 0]), int(state["errors"][0, 0])


@seed(SEED)
@settings(max_examples=80, deadline=None)
@given(
    period=st.integers(1, 4000), scrape=st.sampled_from([5, 15, 60]), parts=st.integers(2, 5), per=st.integers(2, 10),
    phase=st.integers(0, 59), drawn=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_dense_and_slow_counters_with_resets(
    period: int, scrape: int, parts: int, per: int, phase: int, drawn: int
) -> None:
    """Ranges that join count what scrapes show, at any step, phase, window and scrape interval, and after resets."""
    print(f"seed {SEED}")
    rng = np.random.default_rng(drawn)
    every = scrape * max(1, per // parts)
    window = every * parts
    times = np.arange(window, 60 * window, scrape) + phase % scrape
    steps = np.arange(int(rng.integers(period)) + window, int(times[-1]), period)
    resets = rng.integers(window, int(times[-1]), int(rng.integers(0, 4)))
    increments = scraped(steps, np.sort(resets), times)
    slots = list(range(phase % every, int(times[-1]) + 2 * window, every))
    total, errors = counted(slots, window, times, increments, times)
    assert (total, errors) == (increments.sum(), increments.sum() // 10)


@seed(SEED)
@settings(max_examples=80, deadline=None)
@given(
    rests=st.lists(st.integers(0, 400), min_size=1, max_size=30), share=st.floats(0.2, 1.0), late=st.integers(0, 90),
    drawn=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_gaps_and_late_samples(rests: list[int], share: float, late: int, drawn: int) -> None:
    """Scrapes arrive late and slots are missing: what a slot shows counts once, and nothing twice.

    Steps are at least two windows apart.
    """
    print(f"seed {SEED}")
    rng = np.random.default_rng(drawn)
    window = 120
    steps = np.cumsum([2 * window + rest for rest in rests])
    times = np.arange(0, int(steps[-1]) + 300, 15)
    increments = scraped(steps, np.zeros(0, np.int64), times)
    visible = times + rng.integers(0, late + 1, len(times))
    slots = np.arange(0, int(times[-1]) + 2 * window, 30)
    slots = slots[rng.random(len(slots)) < share]
    total, _ = counted(slots.tolist(), window, times, increments, visible)
    shown = sum(
        bool(((slots >= visible[at]) & (slots >= times[at]) & (slots < times[at] + window)).any()) * int(increments[at])
        for at in np.flatnonzero(increments).tolist()
    )
    assert total == shown
