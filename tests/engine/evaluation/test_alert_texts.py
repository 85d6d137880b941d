"""Labels and annotations of one rule's alerts."""

from __future__ import annotations

import json

from bridge.domain.model import ModelTable
from bridge.domain.rule import RuleKind
from bridge.engine.evaluation.alert_texts import AlertTexts, Numbers
from tests.support.world import A, B, World, group, rule

LOW, HIGH = Numbers(0.5, None, 0), Numbers(0.9, 0.6, 0)


def expression_texts() -> AlertTexts:
    """The texts of an `expr` rule whose label `level` is a template; model A fires."""
    labels = {"team": "ml", "level": "{{ $value }}", "empty": ""}
    annotations = {"text": "{{ $labels.instance }}: {{ $value }}"}
    world = World(group(rule(limit=None, kind=RuleKind.ALERT, labels=labels, annotations=annotations)))
    world.source.series = b'{"__name__":"m","instance":"i1","team":"other"}'
    world.tick({A: 0.7})
    return world.rule("Drifted").texts


def test_the_rules_labels_win_over_those_of_the_series() -> None:
    """The model's labels, `__name__` and empty labels are left out."""
    assert expression_texts().labels(0, lambda _: HIGH) == {"team": "ml", "level": "0.7", "instance": "i1"}


def test_labels_stay_as_they_were_when_the_model_began_to_fire() -> None:
    """Annotations show the current numbers."""
    texts = expression_texts()
    assert texts.labels(0, lambda _: LOW) == texts.labels(0, lambda _: HIGH)
    assert [texts.annotations(0, numbers)["text"] for numbers in (LOW, HIGH)] == ["i1: 0.5", "i1: 0.9"]


def test_forgotten_labels_are_expanded_with_the_current_numbers() -> None:
    texts = expression_texts()
    texts.forget_all_but({0})
    assert texts.labels(0, lambda _: LOW)["level"] == "0.7"
    texts.forget_all_but({1})
    assert texts.labels(0, lambda _: LOW) == {"team": "ml", "level": "0.5"}


def test_a_rule_with_a_strategy_carries_no_labels_of_a_series() -> None:
    table = ModelTable()
    texts = AlertTexts.of(rule(labels={"team": "ml"}, annotations={"text": "{{ $threshold }}"}), table)
    row = table.row(B)
    texts.series[row] = {"instance": "i1"}
    assert texts.labels(row, lambda _: HIGH) == {"team": "ml"}
    assert texts.annotations(row, HIGH) == {"text": "0.6"}


def test_alert_and_request_share_the_labels_of_the_series() -> None:
    """One mapping, with the texts of the model's identity: with 100,000 breached models, copies would take 50 MB."""
    world = World(group(rule()))
    series = json.dumps({"__name__": "m", "instance": "i1", **A.labels()}).encode()
    world.source.series = series
    world.tick({A: 0.7})
    labels = world.rule("Drifted").texts.series[0]
    assert list(labels.items()) == list(json.loads(series).items())
    (request,) = world.requests()
    assert world.state.episode_index.requests[request.id].request.evidence[0].series is labels
    assert [labels[name] is text for name, text in A.labels().items()] == [True, True, True]


def test_a_series_with_other_labels_than_the_model_keeps_them() -> None:
    """The evidence has the labels of the series; templates see those of the model over them."""
    world = World(group(rule()))
    world.source.series = b'{"instance":"i1","version":"other"}'
    world.tick({A: 0.7})
    (request,) = world.requests()
    evidence = world.state.episode_index.requests[request.id].request.evidence[0]
    assert evidence.series == {"instance": "i1", "version": "other"}
    assert world.rule("Drifted").texts.series[0] == {"instance": "i1", **A.labels()}
