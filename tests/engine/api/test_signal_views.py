"""Latest values of a rule."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from bridge.domain.times import SECOND
from bridge.engine.api.signal_views import signals_of
from bridge.engine.api.views import SignalView
from tests.support.world import QUERY_FAILED, A, B, C, World, group, rule


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
    assert (one.value, one.statistic, one.threshold, one.verdict, one.state, one.since) == (
        0.9,
        0.9,
        0.6,
        "breached",
        "pending",
        world.now,
    )
    assert (other.value, other.verdict, other.cause, other.state, other.since) == (0.1, "ok", "none", "inactive", 0)
    assert one.at == world.now


def test_a_firing_rule_fires_since_the_end_of_for() -> None:
    """Not since it became pending, which is Prometheus' activeAt."""
    world = World(group(rule(for_=20 * SECOND)))
    for _ in range(4):
        world.tick({A: 0.9})
    (view,) = views(world).values()
    assert (view.state, view.since) == ("firing", world.now - 10 * SECOND)


def test_an_expression_that_returns_nothing_any_more_has_no_value() -> None:
    """The value that was breached last is not the present one, not even while the next query fails."""
    world = World(group(rule(limit=None)))
    world.tick({A: 0.9, B: 0.8})
    assert [(view.value, view.empty) for view in views(world).values()] == [(0.9, False), (0.8, False)]
    world.tick({B: 0.7})
    one, other = views(world).values()
    assert (one.verdict, one.state, one.empty, math.isnan(one.value)) == ("ok", "inactive", True, True)
    assert (other.value, other.empty) == (0.7, False)
    world.tick(QUERY_FAILED)
    one, other = views(world).values()
    assert (one.verdict, one.empty, math.isnan(one.value)) == ("inconclusive", False, True)
    assert other.value == 0.7


def test_an_expression_that_returns_nothing_has_no_value_while_the_alert_is_kept_firing() -> None:
    """The annotations of the alert keep the last value, as in Prometheus."""
    world = World(group(rule(limit=None, keep_firing_for=60 * SECOND, annotations={"summary": "{{ $value }}"})))
    world.tick({A: 0.9})
    world.tick({})
    (view,) = views(world).values()
    assert (view.state, view.empty, math.isnan(view.value)) == ("firing", True, True)
    run = world.rule("Drifted")
    assert run.alert_annotations(run.table.row(A)) == {"summary": "0.9"}


def test_a_signal_without_a_limit_that_is_ok_has_its_value() -> None:
    """Only an expression can return nothing."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    assert [(view.value, view.empty) for view in views(world).values()] == [(0.1, False)]


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
