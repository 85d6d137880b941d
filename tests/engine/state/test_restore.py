"""Restoration at a start or a reload: which state is kept, and which is deleted."""

from __future__ import annotations

from dataclasses import replace

from bridge.domain.alert import State
from bridge.domain.times import SECOND
from tests.support.world import A, B, World, group, rule


def states(world: World, name: str = "Drifted") -> list[int]:
    return [int(state) for state in world.rule(name).live.alerts.state]


def test_a_restart_restores_alerts_slots_and_expected_models() -> None:
    """Only the active model has an alert row; both models are expected."""
    world = World(group(rule()))
    world.tick({A: 0.7, B: 0.1})
    world.restart()
    run = world.state.groups["g"]
    assert run.last_slot == world.now
    assert sum(states(world)) == State.FIRING
    (expected,) = run.expected_models.values()
    assert (expected.live.first_seen > 0).sum() == 2


def test_a_reload_keeps_the_state_of_a_rule_with_the_same_fingerprint() -> None:
    """A longer `keep_firing_for` is the same rule; another limit is not."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    world.reconfigure(group(rule(keep_firing_for=60 * SECOND)))
    assert states(world) == [State.FIRING]
    world.reconfigure(group(rule(limit=0.5)))
    assert State.FIRING not in states(world)


def test_rows_of_a_removed_rule_are_deleted_with_the_next_commit() -> None:
    """After a reload and after a restart."""
    world = World(group(rule(), rule("Other")))
    world.tick({A: 0.7})
    world.reconfigure(group(rule()))
    assert {row.rule for row in world.store.load(0).alerts} == {"Drifted", "Other"}
    world.tick({A: 0.7})
    assert {row.rule for row in world.store.load(0).alerts} == {"Drifted"}
    world.group = group(rule("Third"))
    world.restart()
    world.tick({A: 0.1})
    assert world.store.load(0).alerts == []


def test_expected_models_of_a_removed_signal_are_deleted() -> None:
    """A signal with another expression is another signal."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    (before,) = world.store.load(0).sightings
    changed = group(rule())
    queries = {"drift": replace(changed.queries["drift"], exprs={"value": "other_drift"})}
    world.reconfigure(replace(changed, queries=queries))
    world.tick({B: 0.1})
    (after,) = world.store.load(0).sightings
    assert (before.model, after.model) == (A, B)
    assert before.signal != after.signal
