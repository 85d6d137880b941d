"""Prometheus' own rule files, as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.authoring.check.check import check_rules
from bridge.config.load import load_rules
from bridge.domain.model import ModelKey
from bridge.domain.request import request_id
from bridge.domain.rule import Group
from bridge.domain.times import MINUTE

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


def groups(folder: Path, text: str) -> tuple[Group, ...]:
    (folder / "r.yml").write_text(text, encoding="utf-8")
    return load_rules([folder / "r.yml"])


def problems(folder: Path, text: str) -> list[str]:
    (folder / "r.yml").write_text(text, encoding="utf-8")
    return [str(problem).replace(f"{folder}/", "") for problem in check_rules([folder / "r.yml"])]


def rule(folder: Path, lines: str) -> str:
    return f"groups:\n- name: g\n  rules:\n  - {lines}\n"


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
        "r.yml:5: rule 'A' is there twice with the same labels and expression (first in " + f"{tmp_path}/r.yml:4)"
    ] or problems(tmp_path, text) == [
        "r.yml:5: rule 'A' is there twice with the same labels and expression (first in r.yml:4)"
    ]


def test_recording_rules_are_left_with_prometheus_with_a_note(tmp_path: Path) -> None:
    text = """
groups:
- name: g
  labels: {team: ml}
  rules:
  - {record: 'm:rate5m', expr: 'rate(m[5m])', labels: {a: b}}
  - {alert: A, expr: 'm:rate5m > 1'}
"""
    (group,) = groups(tmp_path, text)
    assert [item.name for item in group.rules] == ["A"]
    ((record,),) = [group.recordings]
    assert (record.name, record.expr, record.labels) == ("m:rate5m", "rate(m[5m])", {"team": "ml", "a": "b"})
    notes = [str(problem).replace(f"{tmp_path}/", "") for problem in check_rules([tmp_path / "r.yml"], lint=True)]
    assert "r.yml:6: g: note: 1 recording rule is left with Prometheus" in notes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{record: 'a b', expr: m}", "groups[0].rules[0].record: 'a b' is not a metric name"),
        ("{record: m, expr: 'rate(m'}", "groups[0].rules[0].expr: '(' is not closed in the expression"),
        ("{record: m}", "groups[0].rules[0]: key 'expr' is missing"),
        (
            "{record: m, expr: m, for: 5m}",
            "groups[0].rules[0].for: unknown key 'for' (known are: expr, labels, record)",
        ),
        ("{record: m, alert: A, expr: m}", "groups[0].rules[0].record: a rule is either 'record' or one that acts"),
    ],
)
def test_a_wrong_recording_rule_is_an_error(tmp_path: Path, line: str, message: str) -> None:
    assert any(message in problem for problem in problems(tmp_path, rule(tmp_path, line)))


def test_numbers_and_booleans_are_taken_as_written_where_text_is_wanted(tmp_path: Path) -> None:
    text = rule(
        tmp_path,
        "{alert: A, expr: 1, labels: {tier: 1, oncall: true, size: 1.50, hex: 0x1F}, annotations: {priority: 2}}",
    )
    (group,) = groups(tmp_path, text)
    (found,) = group.rules
    assert found.labels == {"tier": "1", "oncall": "true", "size": "1.50", "hex": "0x1F"}
    assert found.annotations == {"priority": "2"}
    assert group.queries["A"].exprs == {"value": "1"}


def test_a_number_beside_a_mistake_is_no_second_mistake(tmp_path: Path) -> None:
    text = rule(tmp_path, "{alert: A, expr: m > 1, labels: {tier: 1}, fr: 5m}")
    assert problems(tmp_path, text) == ["r.yml:4:48: groups[0].rules[0].fr: unknown key 'fr' (did you mean 'for'?)"]


@pytest.mark.parametrize(
    "text",
    [
        "groups:\n",
        "groups:\n- name: g\n  rules:\n",
        "groups:\n- name: g\n  interval: 0s\n  rules: []\n",
        "groups:\n- name: g\n  interval:\n  labels:\n  rules:\n  - alert: A\n    expr: m > 1\n    for:\n    labels:\n",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: m > 1\n    labels:\n      severity:\n",
    ],
)
def test_empty_keys_count_as_absent(tmp_path: Path, text: str) -> None:
    for group in groups(tmp_path, text):
        assert group.interval == MINUTE
        assert all(dict(item.labels) == {} for item in group.rules)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr:\n", "groups[0].rules[0].expr: has no value"),
        ("groups:\n- name:\n  rules: []\n", "groups[0].name: has no value"),
        ("groups:\n- name: g\n  rule:\n", "groups[0].rule: unknown key 'rule' (did you mean 'rules'?)"),
        ("groups:\n- name: g\n  signals:\n", "groups[0].signals: has no value"),
    ],
)
def test_keys_that_need_a_value_do_not_stay_empty(tmp_path: Path, text: str, message: str) -> None:
    assert any(message in problem for problem in problems(tmp_path, text))


# ------------------------------------------------------------ objects of Kubernetes

OBJECT = """
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: NAME}
spec:
  groups:
  - name: NAME
    rules:
    - {alert: NAME, expr: m >= 3}
"""


def test_prometheus_rules_of_the_operator_are_read(tmp_path: Path) -> None:
    """Several in one file too, beside other objects; mistakes have their line and path."""
    other = "apiVersion: v1\nkind: ConfigMap\n"
    text = "---".join([OBJECT.replace("NAME", "A"), "\n" + other, OBJECT.replace("NAME", "B"), "\n"])
    found = groups(tmp_path, text)
    assert [(group.name, [item.name for item in group.rules]) for group in found] == [("A", ["A"]), ("B", ["B"])]
    text = text.replace("{alert: B, expr: m >= 3}", "{alert: B, expr: m >= (3}")
    assert [problem.partition(": ")[2] for problem in problems(tmp_path, text)] == [
        "spec.groups[0].rules[0].expr: '(' is not closed in the expression"
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("apiVersion: x/v1\nkind: VMRule\nspec: {groups: []}\n", "this is a VMRule of the VictoriaMetrics operator"),
        ("apiVersion: v1\nkind: ConfigMap\n", "a ConfigMap of Kubernetes is no rule file"),
        ("apiVersion: x/v1\nkind: PrometheusRule\n", "this PrometheusRule has no 'spec'"),
        ("apiVersion: 1\ngroups: [{orgId: 1, folder: f, rules: []}]\n", "this is a Grafana provisioning file"),
    ],
)
def test_other_files_get_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (only,) = problems(tmp_path, text)
    assert sentence in only


def test_two_rule_files_in_one_are_refused(tmp_path: Path) -> None:
    (only,) = problems(tmp_path, "groups: []\n---\ngroups: []\n")
    assert only == "r.yml:3: holds more than one document (write one file for each)"


# ------------------------------------------------------------ templates


@pytest.mark.parametrize("key", ["labels", "annotations"])
def test_a_template_that_cannot_be_parsed_is_refused_with_its_place(tmp_path: Path, key: str) -> None:
    text = f"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: m > 1\n    {key}:\n      text: '{{{{ $label }}}}'\n"
    assert problems(tmp_path, text) == [
        f'r.yml:7:7: groups[0].rules[0].{key}.text: template: __alert_A:1: undefined variable "$label"'
    ]


def test_labels_may_be_templates(tmp_path: Path) -> None:
    (group,) = groups(tmp_path, rule(tmp_path, "{alert: A, expr: m > 1, labels: {who: '{{ $labels.team }}'}}"))
    assert group.rules[0].labels == {"who": "{{ $labels.team }}"}
