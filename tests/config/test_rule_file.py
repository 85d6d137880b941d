"""Rule files: groups, recording rules, empty keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.authoring.check.check import check_rules
from bridge.domain.times import MINUTE
from tests.support.rule_files import groups, problems, rule


def test_recording_rules_are_left_to_prometheus_with_a_note(tmp_path: Path) -> None:
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
    assert "r.yml:6: g: note: 1 recording rule is not read: Prometheus evaluates it" in notes


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
        (
            "{record: m, alert: A, expr: m}",
            "groups[0].rules[0].record: a rule has either 'record', or 'retrain' or 'alert'",
        ),
    ],
)
def test_a_wrong_recording_rule_is_an_error(tmp_path: Path, line: str, message: str) -> None:
    assert any(message in problem for problem in problems(tmp_path, rule(line)))


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
    found = groups(tmp_path, text)
    assert [len(group.rules) for group in found] == [text.count("alert:")] * text.count("name:")
    for group in found:
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
def test_required_keys_must_have_a_value(tmp_path: Path, text: str, message: str) -> None:
    assert any(message in problem for problem in problems(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "groups:\n- {name: g}\n- {name: g}\n",
            "groups[1].name: group 'g' is defined twice (first in r.yml:2)",
        ),
        ("groups:\n- {name: ' '}\n", "groups[0].name: a group needs a name"),
        ("groups:\n- {name: " + "x" * 300 + "}\n", "the name of a group has at most"),
        ("groups:\n- {name: g, signals: {s: 3}}\n", "groups[0].signals.s: a signal is a mapping, not a number"),
        ("groups:\n- {name: g, for: 5m}\n", "write it in the rules"),
        ("groups:\n- {name: g, labels: {pipeline: x}}\n", "label 'pipeline' is set by the bridge itself"),
    ],
)
def test_wrong_groups_are_reported(tmp_path: Path, text: str, message: str) -> None:
    found = problems(tmp_path, text)
    assert any(message in problem for problem in found), found


def test_settings_of_a_group_reach_its_rules(tmp_path: Path) -> None:
    """Its offset replaces the default even when it is zero; a rule's label replaces the group's."""
    rules = "rules: [{alert: A, expr: m > 1, labels: {a: x}}]"
    text = f"groups:\n- {{name: g, interval: 5m, query_offset: 0s, limit: 7, labels: {{a: y, b: z}}, {rules}}}\n"
    (group,) = groups(tmp_path, text)
    assert (group.interval, group.offset, group.queries["A"].limit) == (5 * MINUTE, 0, 7)
    assert group.rules[0].labels == {"a": "x", "b": "z"}
