"""Alerts of firing `alert:` rules."""

from __future__ import annotations

from bridge.domain.rule import RuleKind
from bridge.domain.times import SECOND
from bridge.engine.delivery.alert_rules import firing, notice_labels
from tests.support.world import A, B, World, group, rule

PAGE = rule("Slow", kind=RuleKind.ALERT, labels={"severity": "page"}, annotations={"summary": "Slow: {{ $value }}"})


def test_firing_lists_one_alert_per_firing_model() -> None:
    world = World(group(PAGE))
    world.tick({A: 0.7, B: 0.1})
    (alert,) = firing(world.rule("Slow"), 10 * SECOND)
    assert (alert.rule, alert.model, alert.starts_at) == ("Slow", A, world.now)
    assert alert.labels == {
        "alertname": "Slow", "severity": "page", "project": "shop", "pipeline": "ranking", "version": "7",
    }  # fmt: skip


def test_firing_keeps_the_start_while_the_rule_fires() -> None:
    world = World(group(PAGE))
    world.tick({A: 0.7})
    began = world.now
    world.tick({A: 0.8})
    (alert,) = firing(world.rule("Slow"), 10 * SECOND)
    assert alert.starts_at == began


def test_firing_omits_pending_and_recovered_models() -> None:
    world = World(group(rule("Slow", kind=RuleKind.ALERT, for_=15 * SECOND)))
    world.tick({A: 0.7})
    assert firing(world.rule("Slow"), 10 * SECOND) == []
    for value in (0.7, 0.7):
        world.tick({A: value})
    assert [alert.model for alert in firing(world.rule("Slow"), 10 * SECOND)] == [A]
    world.tick({A: 0.1})
    assert firing(world.rule("Slow"), 10 * SECOND) == []


def test_notice_labels_of_the_bridge_win_over_labels_of_the_rule() -> None:
    """A rule cannot rename the model that its alert is about."""
    world = World(group(rule("Slow", kind=RuleKind.ALERT, labels={"project": "other", "alertname": "Other"})))
    world.tick({A: 0.7})
    labels = notice_labels(world.rule("Slow"), world.state.table.row(A))
    assert (labels["project"], labels["alertname"]) == ("shop", "Slow")
