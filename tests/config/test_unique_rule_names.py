"""Rules that share a name: distinguished by labels, expression and group."""

from __future__ import annotations

from pathlib import Path

from bridge.domain.model import ModelKey
from bridge.domain.request import request_id
from tests.support.rule_files import groups, problems

TIERS = """
groups:
- name: g
  rules:
  - {alert: High, expr: m > 0.3, labels: {severity: warning}}
  - {alert: High, expr: m > 0.6, labels: {severity: critical}}
  - {alert: High, expr: n > 1, labels: {severity: critical}}
  - {alert: Other, expr: n > 1}
- name: h
  rules:
  - {alert: High, expr: n > 1, labels: {severity: critical}}
"""


def test_rules_of_one_name_are_distinguished_by_labels_expression_and_group(tmp_path: Path) -> None:
    found = groups(tmp_path, TIERS)
    rules = [item for group in found for item in group.rules]
    assert [item.alertname for item in rules] == ["High", "High", "High", "Other", "High"]
    names = [item.name for item in rules]
    assert (names[0], names[3]) == ('High{severity="warning"}', "Other")
    critical = 'High{severity="critical"}#'
    assert [name.startswith(critical) for name in names] == [False, True, True, False, True]
    assert len(set(names)) == 5
    for group in found:
        assert [group.queries[item.query].exprs["value"] for item in group.rules] == [
            ["m > 0.3", "m > 0.6", "n > 1", "n > 1"], ["n > 1"],
        ][group.name == "h"]  # fmt: skip
        assert all(group.queries[item.query].name == item.query for item in group.rules)


def test_ids_under_a_unique_name_stay_and_others_take_what_distinguishes_the_rules(tmp_path: Path) -> None:
    model = ModelKey("p", "q", "1")
    rules = {item.alertname: item for group in groups(tmp_path, TIERS) for item in group.rules}
    assert request_id(model, rules["Other"].name, 1, 1) == request_id(model, "Other", 1, 1)
    assert request_id(model, rules["High"].name, 1, 1) != request_id(model, "High", 1, 1)


def test_tiers_with_strategies_share_their_signal(tmp_path: Path) -> None:
    text = """
groups:
- name: g
  signals: {drift: {event: drift, expr: d}}
  rules:
  - {retrain: R, signal: drift, strategy: {threshold: {max: 0.3}}}
  - {retrain: R, signal: drift, strategy: {threshold: {max: 0.6}}}
"""
    (group,) = groups(tmp_path, text)
    assert [item.query for item in group.rules] == ["drift", "drift"]
    assert len({item.name for item in group.rules}) == 2


def test_rules_that_nothing_distinguishes_are_refused(tmp_path: Path) -> None:
    text = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: m > 1}\n  - {alert: A, expr: m > 1}\n"
    assert problems(tmp_path, text) == [
        "r.yml:5: rule 'A' is defined twice with the same labels and expression (first in " + f"{tmp_path}/r.yml:4)"
    ] or problems(tmp_path, text) == [
        "r.yml:5: rule 'A' is defined twice with the same labels and expression (first in r.yml:4)"
    ]
