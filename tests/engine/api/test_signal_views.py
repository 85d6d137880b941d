"""Latest values of a rule."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from bridge.domain.times import SECOND
from bridge.engine.api.signal_views import signals_of
from bridge.engine.api.views import SignalView
from tests.support.world import A, B, C, World, group, rule


def views(world: World, name: str = "Drifted") -> dict[int, SignalView]:
    run = world.rule(name)
    return dict(signals_of(run, np.ones(len(run.table), np.bool_)))


def test_each_known_model_has_its_value_limit_and_state() -> None:
    """In the words of the API; a model that the rule has never seen has none."""
    world = World(group(rule(for_=20 * SECOND)))
    world.engine.table.row(C)
    world.tick({A: 0.9, B: 0.1})
    found = views(world)
    table = world.engine.table
    assert set(found) == {table.row(A), table.row(B)}
    one, other = found[table.row(A)], found[table.row(B)]
    assert (one.value, one.threshold, one.verdict, one.state, one.active_at) == (
        0.9,
        0.6,
        "breached",
        "pending",
        world.now,
    )
    assert (other.value, other.verdict, other.cause, other.state, other.active_at) == (0.1, "ok", "none", "inactive", 0)
    assert one.at == world.now


def test_a_missing_value_has_its_cause() -> None:
    world = World(group(rule()))
    world.tick({A: 0.1})
    world.tick({A: math.nan})
    (view,) = views(world).values()
    assert (view.verdict, view.cause) == ("inconclusive", "nan")


def test_only_chosen_models_are_listed() -> None:
    world = World(group(rule()))
    world.tick({A: 0.9, B: 0.1})
    run = world.rule("Drifted")
    chosen = np.zeros(len(run.table), np.bool_)
    chosen[run.table.row(B)] = True
    assert [row for row, _ in signals_of(run, chosen)] == [run.table.row(B)]


def test_a_forecast_is_rounded_and_absent_where_it_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy without forecasts is not asked for any."""
    world = World(group(rule()))
    world.tick({A: 0.9, B: 0.1})
    run = world.rule("Drifted")
    assert all(view.crossing is None for view in views(world).values())
    bounds = SimpleNamespace(
        limit=np.array([0.6, 0.6]), earliest=np.array([10.4, 1.0]), latest=np.array([20.6, np.nan]), confidence=0.9
    )
    forecasting = SimpleNamespace(forecasts=True, crossings=lambda state, at: bounds)
    monkeypatch.setattr(run, "strategy", forecasting)
    monkeypatch.setattr(run.live, "state", np.zeros(len(run.table)))
    first, second = views(world).values()
    assert first.crossing is not None
    assert (first.crossing.earliest, first.crossing.latest, first.crossing.limit) == (10, 21, 0.6)
    assert second.crossing is None
