"""Labels of alerts across restarts."""

from __future__ import annotations

import json

import pytest

from bridge.domain.alert import State
from bridge.domain.errors import StoreError
from bridge.engine.state import frozen_labels
from bridge.ports import StateChunk
from tests.support.failing_store import FailingStore
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
    before = dict(made.rule("Drifted").texts.series[made.engine.table.row(A)])
    made.restart()
    run = made.rule("Drifted")
    assert dict(run.texts.series[made.engine.table.row(A)]) == before
    assert before["instance"] == "i1"


def test_labels_of_an_ended_alert_are_deleted_although_the_first_commit_fails() -> None:
    store = FailingStore()
    made = World(group(rule(limit=None, query="drift")), store=store)
    made.tick({A: 1.0})
    store.refuses = True
    with pytest.raises(StoreError):
        made.tick({})
    store.refuses = False
    made.tick({})
    assert NAME not in stored(made)


def test_a_failed_commit_changes_no_labels_of_a_firing_alert() -> None:
    """The alert resolved and fired again only in evaluations that were not stored: for all others it never resolved."""
    store = FailingStore()
    made = World(group(rule(limit=None, query="drift", labels={"level": "{{ $value }}"})), store=store)
    made.tick({A: 1.0})
    row = made.engine.table.row(A)
    before = made.rule("Drifted").alert_labels(row)
    assert (before["level"], before["instance"]) == ("1", "i1")
    made.source.series = b'{"instance":"i2"}'
    store.refuses = True
    made.pass_slots({})
    with pytest.raises(StoreError):
        made.tick({A: 2.0})
    assert made.rule("Drifted").live.alerts.state[row] == State.FIRING
    assert made.rule("Drifted").alert_labels(row) == before


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
