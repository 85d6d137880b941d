"""What every strategy promises, run over every strategy that discovery finds, shipped or installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy, guarded
from bridge.strategies.registry import build, strategies


def example(name: str) -> dict[str, Any]:
    """Parameters to build a strategy with: EXAMPLE of its own test file, or none."""
    module = f"tests.strategies.test_{name}"
    return getattr(importlib.import_module(module), "EXAMPLE", {}) if find_spec(module) else {}


EXAMPLES = {name: example(name) for name in strategies()}
VALUES = st.lists(st.floats(-1, 2) | st.just(float("nan")), min_size=1, max_size=20)


@pytest.fixture(params=sorted(strategies()))
def strategy(request: pytest.FixtureRequest) -> RetrainStrategy:
    """Each strategy with the EXAMPLE of tests/strategies/test_<name>.py."""
    return build(StrategySpec(request.param, EXAMPLES[request.param]))


def batch_of(values: list[float]) -> EventBatch:
    """One batch for every strategy: `values` as numbers, as errors of one request, and as shares in two buckets."""
    table = ModelTable()
    index = np.array([table.row(ModelKey("p", "q", str(number))) for number in range(len(values))], np.int32)
    numbers = np.array(values, np.float64)
    known = np.where(np.isnan(numbers), numbers, 1.0)
    columns = {"value": numbers, "errors": numbers.copy(), "total": known, **histograms(numbers)}
    bounds = np.array([0.5, 1.0, np.inf])
    return EventBatch("drift", EventKind.DRIFT, 0, table, index, columns, bounds, elements=len(values))


def histograms(numbers: Floats) -> dict[str, Floats]:
    """1000 observations of which the share of a number is below the last bound, and a reference of one half."""
    share = np.clip(numbers, 0, 1)[:, None]
    return {
        "buckets": 1000 * np.concatenate([share / 2, share, share * 0 + 1], axis=1),
        "reference": 1000 * np.tile([0.25, 0.5, 1.0], (len(numbers), 1)),
        "sum": 700 - 100 * numbers,
        "reference_sum": np.full(len(numbers), 650.0),
    }


def judged(strategy: RetrainStrategy, values: list[float]) -> Verdicts:
    return guarded(strategy, batch_of(values), strategy.new_state(len(values)))


def as_rows(verdicts: Verdicts) -> Iterator[tuple[int, int, str]]:
    for code, cause, statistic in zip(verdicts.code, verdicts.cause, verdicts.statistic, strict=True):
        yield int(code), int(cause), repr(float(statistic))


@given(VALUES)
def test_a_batch_equals_its_singles(values: list[float]) -> None:
    """No model's verdict depends on the others in the batch."""
    for name in strategies():
        one = build(StrategySpec(name, EXAMPLES[name]))
        singles = [row for value in values for row in as_rows(judged(one, [value]))]
        assert list(as_rows(judged(one, values))) == singles


@given(VALUES, st.randoms())
def test_the_order_of_models_does_not_matter(values: list[float], random: Random) -> None:
    """A permuted batch gives the permuted verdicts."""
    order = list(range(len(values)))
    random.shuffle(order)
    for name in strategies():
        one = build(StrategySpec(name, EXAMPLES[name]))
        straight = list(as_rows(judged(one, values)))
        assert list(as_rows(judged(one, [values[i] for i in order]))) == [straight[i] for i in order]


def test_missing_values_never_fire(strategy: RetrainStrategy) -> None:
    """NaN is not knowing, and says so."""
    verdicts = judged(strategy, [float("nan")] * 3)
    assert verdicts.code.tolist() == [Code.INCONCLUSIVE] * 3
    assert verdicts.cause.tolist() == [Cause.NAN] * 3


def test_a_band_is_of_the_batch_and_the_right_way_round(strategy: RetrainStrategy) -> None:
    """What is shown as usual; a strategy need not know it."""
    for values in ([], [0.1, 0.9, float("nan")]):
        band = judged(strategy, values).band()
        if band is None:
            assert strategy.name not in {"ewma", "seasonal_cusum", "page_hinkley", "adwin", "kswin", "auto"}
            continue
        lower, upper = band
        assert lower.shape == upper.shape == (len(values),)
        known = ~np.isnan(lower)
        assert (lower[known] <= upper[known]).all()


@pytest.mark.parametrize("name", ["ewma", "seasonal_cusum", "page_hinkley", "adwin", "kswin"])
def test_a_band_is_in_the_unit_of_the_signal(name: str) -> None:
    """None while the reference is learnt, then around what is usual; a series in ms has a band in ms."""
    series = np.random.default_rng(11).normal(0.5, 0.05, 300).tolist()
    learning = {"standardise": {"reference": "version", "warm_up": "1h", "window": "2h", "transform": "none"}}
    found = []
    for factor in (1.0, 1000.0):
        one = build(StrategySpec(name, learning))
        state, bands = one.new_state(1), []
        for minute, value in enumerate(series, start=1):
            batch = replace(batch_of([value * factor]), slot=minute * 60_000, event=EventKind.CUSTOM)
            bands.append(guarded(one, batch, state).band())
        first, last = bands[30], bands[-1]
        assert first is not None
        assert last is not None
        assert np.isnan(first).all()
        found.append([float(edge[0]) for edge in last])
    (low, high), scaled = found
    assert 0.25 < low < 0.45 < 0.55 < high < 0.75
    assert scaled == pytest.approx([1000 * low, 1000 * high], rel=0.02)


def test_an_empty_batch_is_judged_empty(strategy: RetrainStrategy) -> None:
    """No model reported: nothing to say, and no failure."""
    assert len(judged(strategy, [])) == 0


def test_the_batch_is_not_changed(strategy: RetrainStrategy) -> None:
    """Other rules read the same columns; a batch of one model is laid out in memory as a batch of one bucket."""
    single = batch_of([0.1])
    for column in single.columns.values():
        column.flags.writeable = False
    guarded(strategy, single, strategy.new_state(1))
    batch = batch_of([0.1, 0.9])
    guarded(strategy, batch, strategy.new_state(2))
    assert {name: column.tolist() for name, column in batch.columns.items()} == {
        "value": [0.1, 0.9], "errors": [0.1, 0.9], "total": [1.0, 1.0],
        "buckets": [[50.0, 100.0, 1000.0], [450.0, 900.0, 1000.0]], "reference": [[250.0, 500.0, 1000.0]] * 2,
        "sum": [690.0, 610.0], "reference_sum": [650.0, 650.0],
    }  # fmt: skip


def test_state_survives_a_round_trip(strategy: RetrainStrategy) -> None:
    """What a strategy remembers is plain bytes of its dtype, at most 2 KB a model."""
    state = strategy.new_state(2)
    size = 0 if strategy.state_dtype is None else strategy.state_dtype.itemsize
    assert size <= 2048
    assert (state is None) == (strategy.state_dtype is None)


def test_every_strategy_has_a_name_and_a_summary(strategy: RetrainStrategy) -> None:
    """The first line of its docstring is what `retrain-bridge strategies` prints."""
    assert (strategy.__doc__ or "").strip().split("\n")[0].endswith(".")
