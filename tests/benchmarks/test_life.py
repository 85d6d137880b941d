"""Generator of life: reproducible, complete, and true to what a Prometheus would return."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from itertools import islice

import numpy as np
import pytest

from benchmarks.life.grammar import Change, Counts, Kind, Life, Moment, Noise, Observable, Shape, draw
from benchmarks.life.signals import PER_DAY, SLOT, WINDOW, Signals, _counter, _one_increase, generate
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.strategies.registry import build

KINDS = draw(11, 240)


def first(**wanted: object) -> Kind:
    """Return the first kind with these choices."""
    return next(kind for kind in KINDS if all(getattr(kind, name) == value for name, value in wanted.items()))


def shown(signals: Signals) -> np.ndarray:
    column = signals.values if signals.values is not None else signals.total
    assert column is not None
    return column


def test_a_seed_gives_the_same_kinds_and_signals_and_another_seed_others() -> None:
    assert draw(11, 24) == KINDS[:24]
    assert draw(12, 24) != KINDS[:24]
    one, same, other = (shown(generate(KINDS[1], seed, 3)) for seed in (5, 5, 6))
    assert np.array_equal(one, same, equal_nan=True)
    assert not np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("choice", [*Observable, *Noise, *Counts, *Life, *Shape, *Moment])
def test_every_choice_of_the_grammar_is_drawn(choice: StrEnum) -> None:
    names: dict[type[StrEnum], str] = {Shape: "shape", Moment: "moment"}
    if type(choice) in names:
        assert any(getattr(kind.change, names[type(choice)]) == choice for kind in KINDS)
    else:
        assert any(getattr(kind, type(choice).__name__.lower()) == choice for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS[:48], ids=lambda kind: kind.describe())
def test_signals_keep_their_range_and_windows_lie_within_life(kind: Kind) -> None:
    signals = generate(kind, 5, models=3)
    values = shown(signals)
    present = values[~np.isnan(values)]
    assert len(present)
    assert values.shape == (28 * PER_DAY // SLOT, 3)
    if kind.observable is Observable.SCORE:
        assert present.min() >= 0
        assert present.max() <= 1
    if kind.observable in {Observable.LATENCY, Observable.ERRORS}:
        assert present.min() >= 0
    if signals.errors is not None and signals.total is not None:
        known = ~np.isnan(signals.total)
        assert (signals.errors[known] <= signals.total[known] + 1e-9).all()
    quiet = kind.change.shape is Shape.NONE
    assert (not signals.windows) == quiet
    counted = {window.model for window in signals.windows if window.counts}
    assert counted == (set() if quiet else {0, 1, 2})
    assert all(0 <= window.start < window.end <= 28 * PER_DAY for window in signals.windows)


def test_a_step_moves_the_level_by_its_size() -> None:
    """Against the same signal without its change."""
    change = Change(Shape.STEP, Moment.LATER, 2.0, 48.0)
    kind = replace(first(observable=Observable.LATENCY), life=Life.LONG, noise=Noise.GAUSSIAN, change=change)
    signals = generate(kind, 5, models=40)
    values, ratios = shown(signals), []
    for window in signals.windows:
        inside = values[window.start // SLOT + 1 : window.end // SLOT, window.model]
        day = PER_DAY // SLOT
        before = values[window.start // SLOT + 1 - 7 * day : window.end // SLOT - 7 * day, window.model]
        ratios.append(np.nanmedian(inside) / np.nanmedian(before))
    assert abs(np.log(np.median(ratios) / kind.change.size)) < 0.15, (kind.describe(), np.median(ratios))


def test_a_counter_grows_by_steps_and_its_increases_add_up() -> None:
    each = np.ones(PER_DAY)
    reset = np.zeros(PER_DAY, np.bool_)
    reset[700] = True
    counter = _counter(each, 60, reset)
    falls = np.flatnonzero(np.diff(counter) < 0)
    assert len(falls) == 1
    assert len(np.unique(counter)) <= 27
    dense = _counter(each, 1, np.zeros(PER_DAY, np.bool_))
    slots = np.arange(WINDOW, PER_DAY, WINDOW)
    increases = _one_increase(dense, np.arange(PER_DAY), slots)
    assert np.allclose(increases, WINDOW)


def test_too_short_a_time_is_refused() -> None:
    with pytest.raises(ValueError, match="days must be at least 21"):
        generate(KINDS[0], 5, days=7)


def test_a_deployment_for_good_admits_requests() -> None:
    assert {kind.admissible for kind in KINDS if kind.life is Life.DEPLOYED} == {2}
    assert {kind.admissible for kind in KINDS if kind.life in {Life.LONG, Life.DAY, Life.NIGHTLY}} == {0}


@pytest.mark.parametrize("observable", list(Observable))
def test_a_strategy_reads_the_batches(observable: Observable) -> None:
    """As an engine would pass them: present models only, in ascending rows."""
    kind = first(observable=observable, life=Life.LONG)
    table = ModelTable()
    for number in range(3):
        table.row(ModelKey("life", str(kind.number), str(number)))
    strategy = build(StrategySpec("auto", {}))
    state, seen = strategy.new_state(3), 0
    assert state is not None
    for batch in islice(generate(kind, 5, models=3).batches(table), 600):
        part = state[batch.index]
        seen += len(strategy.analyse_batch(batch, part))
        state[batch.index] = part
        assert all(np.isfinite(column).all() for column in batch.columns.values())
    assert seen > 0
