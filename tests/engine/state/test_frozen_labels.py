"""Labels of alerts across restarts."""

from __future__ import annotations

import json
import logging

import pytest

from bridge.engine.state import frozen_labels
from bridge.ports import StateChunk
from tests.support.world import A, B, World, group, rule

NAME = "Drifted#labels"


def world() -> World:
    return World(group(rule(limit=None, query="drift")))


def stored(made: World) -> dict[str, StateChunk]:
    return {chunk.rule: chunk for chunk in made.store.load(0).state}


def test_labels_of_a_firing_series_are_stored_until_it_ends() -> None:
    """Without those of the model, which are known."""
    made = world()
    made.tick({A: 1.0, B: 1.0})
    chunk = stored(made)[NAME]
    assert set(chunk.models) == {A, B}
    assert json.loads(chunk.data)[0][0] == {"instance": "i1"}
    made.tick({B: 1.0})
    assert stored(made)[NAME].models == (B,)
    made.tick({})
    assert NAME not in stored(made)


def test_a_restart_keeps_the_labels_although_the_series_has_others() -> None:
    """They are identity in Alertmanager."""
    made = world()
    made.tick({A: 1.0})
    before = dict(made.rule("Drifted").series[made.engine.table.row(A)])
    made.restart()
    run = made.rule("Drifted")
    assert dict(run.series[made.engine.table.row(A)]) == before
    assert before["instance"] == "i1"


def test_unreadable_labels_are_reported_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    made = world()
    run = made.rule("Drifted")
    chunk = StateChunk(NAME, run.fingerprint, made.now, (A,), b"{")
    frozen_labels.restore(run, {(NAME, run.fingerprint): chunk})
    assert "stored labels of alerts cannot be read" in caplog.text
    assert run.series.get(made.engine.table.row(A)) is None


def test_labels_of_a_changed_rule_are_not_restored() -> None:
    """Its fingerprint is another one."""
    made = world()
    run = made.rule("Drifted")
    chunk = StateChunk(NAME, "other", made.now, (A,), b'[[{"instance": "old"}, {}]]')
    waiting = {(NAME, "other"): chunk}
    frozen_labels.restore(run, waiting)
    assert waiting == {(NAME, "other"): chunk}
    assert run.state_slots.get(NAME) is None


def test_rules_with_a_strategy_store_nothing() -> None:
    """Their alerts have no label of a series."""
    made = World(group(rule()))
    made.tick({A: 0.9})
    assert NAME not in stored(made)
