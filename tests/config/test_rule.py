"""One rule: labels, templates, and keys that exclude each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.domain.rule import Mode, RuleKind
from bridge.domain.times import HOUR, MINUTE
from tests.support.rule_files import groups, problems, rule


def test_numbers_and_booleans_are_text_where_text_is_expected(tmp_path: Path) -> None:
    text = rule(
        "{alert: A, expr: 1, labels: {tier: 1, oncall: true, size: 1.50, hex: 0x1F}, annotations: {priority: 2}}",
    )
    (group,) = groups(tmp_path, text)
    (found,) = group.rules
    assert found.labels == {"tier": "1", "oncall": "true", "size": "1.50", "hex": "0x1F"}
    assert found.annotations == {"priority": "2"}
    assert group.queries["A"].exprs == {"value": "1"}


def test_a_number_next_to_an_error_is_not_a_second_error(tmp_path: Path) -> None:
    text = rule("{alert: A, expr: m > 1, labels: {tier: 1}, fr: 5m}")
    assert problems(tmp_path, text) == ["r.yml:4:48: groups[0].rules[0].fr: unknown key 'fr' (did you mean 'for'?)"]


@pytest.mark.parametrize("key", ["labels", "annotations"])
def test_a_template_that_cannot_be_parsed_is_refused_with_its_position(tmp_path: Path, key: str) -> None:
    text = f"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: m > 1\n    {key}:\n      text: '{{{{ $label }}}}'\n"
    assert problems(tmp_path, text) == [
        f'r.yml:7:7: groups[0].rules[0].{key}.text: template: __alert_A:1: undefined variable "$label"'
    ]


def test_labels_may_be_templates(tmp_path: Path) -> None:
    (group,) = groups(tmp_path, rule("{alert: A, expr: m > 1, labels: {who: '{{ $labels.team }}'}}"))
    assert group.rules[0].labels == {"who": "{{ $labels.team }}"}


SIGNALS = "groups:\n- name: g\n  signals:\n    drift: {event: drift, expr: d}\n  rules:\n"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("retrain: A, expr: m > 1, signal: drift", "a rule has one of: 'expr', 'signal', 'all', 'any', 'at_least'"),
        ("retrain: A", "a rule has one of"),
        ("retrain: A, alert: B, expr: m > 1", "a rule is either 'retrain' or 'alert'"),
        ("expr: m > 1", "key 'retrain' is missing"),
        ("retrain: A, signal: drft", "there is no signal 'drft' in this group (did you mean 'drift'?)"),
        ("retrain: A, expr: m > 1, strategy: auto", "'strategy' cannot be combined with 'expr'"),
        ("retrain: drift, expr: m > 1", "'drift' is the name of a signal as well"),
        ("retrain: A, signal: drift, event: drift", "'event' requires 'expr'; the signal has its own"),
        ("retrain: A, signal: drift, n_min: 5", "signal 'drift' does not say how many observations there are"),
        ("retrain: A, expr: m > 1, warm_up: 1h", "'warm_up' cannot be combined with 'expr'"),
        ("retrain: A, expr: m > 1, fdr: 0.1", "'fdr' requires 'signal' and a strategy that supports p-values"),
        ("retrain: A, signal: drift, strategy: {threshold: {max: 1}}, fdr: 0.1", "does not support p-values"),
        ("retrain: A, expr: m > 1, cooldown: {base: 2h, max: 1h}", "max must not be shorter than base"),
        ("retrain: A, expr: m > 1, breaches: {at_least: 3, of: 2}", "at_least (3) must not be more than of (2)"),
        (
            "retrain: A, expr: m > 1, for: 1m, breaches: {at_least: 1, of: 2}",
            "'for' cannot be combined with 'breaches'",
        ),
        (
            "alert: A, expr: m > 1, cooldown: 1h",
            "'cooldown' cannot be combined with 'alert', which requests no retraining",
        ),
        ("retrain: A, expr: m > 1, inconclusive: {stael: ok}", "unknown cause 'stael' (did you mean 'stale'?)"),
        ("retrain: A, expr: m > 1, inconclusive: {stale: use}", "'use' is a policy for partial answers only"),
        ("retrain: A, expr: m > 1, inconclusive: {stale: maybe}", "unknown policy 'maybe'"),
        ("retrain: A, expr: m > 1, severity: page", "write it under 'labels'"),
    ],
)
def test_keys_that_do_not_go_together_are_reported(tmp_path: Path, keys: str, message: str) -> None:
    found = problems(tmp_path, f"{SIGNALS}  - {{{keys}}}\n")
    assert any(message in problem for problem in found), found


def test_a_rule_has_the_settings_of_the_file(tmp_path: Path) -> None:
    """A cooldown may be one duration; the retrain rule's default strategy is auto."""
    keys = "retrain: A, signal: drift, cooldown: 6h, approval: required, inconclusive: {partial: use, stale: fire}"
    (group,) = groups(tmp_path, f"{SIGNALS}  - {{{keys}}}\n  - {{alert: B, expr: m > 1, shadow: true, for: 5m}}\n")
    first, second = group.rules
    assert (first.cooldown.base, first.cooldown.max, first.approval, first.order) == (6 * HOUR, 0, True, 0)
    assert first.strategy is not None
    assert first.strategy.name == "auto"
    assert {cause.word: policy for cause, policy in first.policies.items()} == {"partial": "use", "stale": "fire"}
    assert (second.kind, second.mode, second.for_, second.order) == (RuleKind.ALERT, Mode.SHADOW, 5 * MINUTE, 1)
