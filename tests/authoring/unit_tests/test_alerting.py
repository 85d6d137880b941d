"""Alerting rules of a test as Prometheus evaluates them."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.authoring.unit_tests.alerting import AlertingRule, alerting_rules
from bridge.domain.rule import LabelRef, ModelLabels, Rule, RuleKind
from bridge.domain.times import MINUTE
from bridge.engine.evaluation.expansion import Expander, External, TemplateQueries
from tests.support.world import group, rule

MAPPING = ModelLabels(LabelRef("project"), LabelRef("pipeline"), LabelRef("version"))


def expander() -> Expander:
    return Expander(External({}, ""), TemplateQueries(lambda *_: []))


def alerting(**keys: Any) -> AlertingRule:
    one = Rule("High", "g", "High", None, kind=RuleKind.ALERT, **keys)
    return AlertingRule(one, "m > 1", MAPPING)


def sample(value: float = 2.0, **labels: str) -> dict[str, Any]:
    return {"metric": {"__name__": "m", "job": "a", **labels}, "value": [0, str(value)]}


def states(found: dict[Any, float]) -> dict[str, float]:
    """Return state -> value, of ALERTS and of ALERTS_FOR_STATE."""
    return {dict(key).get("alertstate", "since"): value for key, value in found.items()}


def test_an_alert_is_pending_until_for_has_passed() -> None:
    """It keeps its beginning, and starts over after a gap."""
    one, made = alerting(for_=2 * MINUTE), expander()
    assert states(one.advance([sample()], MINUTE, made)) == {"pending": 1.0, "since": 60.0}
    assert states(one.advance([sample()], 2 * MINUTE, made)) == {"pending": 1.0, "since": 60.0}
    assert states(one.advance([sample()], 3 * MINUTE, made)) == {"firing": 1.0, "since": 60.0}
    assert one.advance([], 4 * MINUTE, made) == {}
    assert states(one.advance([sample()], 5 * MINUTE, made)) == {"pending": 1.0, "since": 300.0}


def test_keep_firing_for_holds_a_firing_alert() -> None:
    """A pending one ends at once."""
    one, made = alerting(keep_firing_for=2 * MINUTE), expander()
    one.advance([sample()], MINUTE, made)
    assert "firing" in states(one.advance([], 2 * MINUTE, made))
    assert "firing" in states(one.advance([], 3 * MINUTE, made))
    assert one.advance([], 4 * MINUTE, made) == {}
    pending = alerting(for_=MINUTE, keep_firing_for=2 * MINUTE)
    pending.advance([sample()], MINUTE, made)
    assert pending.advance([], 2 * MINUTE, made) == {}


def test_labels_are_expanded_and_empty_ones_dropped() -> None:
    """The name of the metric is no label of an alert."""
    one = alerting(labels={"who": "{{ $labels.job }}-{{ $value }}", "job": ""}, annotations={"text": "x {{ $value }}"})
    one.advance([sample(2.5)], 0, expander())
    (alert,) = one.active.values()
    assert dict(alert.labels) == {"alertname": "High", "who": "a-2.5"}
    assert alert.annotations == {"text": "x 2.5"}


def test_two_series_with_the_same_labels_are_an_error() -> None:
    one = alerting(labels={"instance": "all"})
    with pytest.raises(ValueError, match="same labelset"):
        one.advance([sample(instance="1"), sample(instance="2")], 0, expander())


def test_firing_alerts_of_no_model_are_listed() -> None:
    one = alerting(for_=MINUTE)
    model: dict[str, Any] = {"project": "p", "pipeline": "q", "version": "1"}
    one.advance([sample(), sample(**model)], MINUTE, expander())
    assert one.unmapped() == []
    one.advance([sample(), sample(**model)], 2 * MINUTE, expander())
    assert [alert.series["job"] for alert in one.unmapped()] == ["a"]
    assert "project" not in one.unmapped()[0].series


def test_only_plain_alerts_are_rules_of_prometheus() -> None:
    """Not those with a strategy, and no retrain rules."""
    made = group(
        rule("Plain", limit=None, kind=RuleKind.ALERT), rule("Limit", kind=RuleKind.ALERT), rule("Retrain", limit=None)
    )
    assert [item.rule.name for item in alerting_rules(made)] == ["Plain"]
