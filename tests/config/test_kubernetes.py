"""Rule files as Kubernetes objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config.kubernetes import chosen, kind_of
from bridge.domain.errors import ConfigError
from bridge.files.yaml import Document, parse
from tests.support.rule_files import groups, problems

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
        ("apiVersion: v1\nkind: ConfigMap\n", "a ConfigMap of Kubernetes is not a rule file"),
        ("apiVersion: x/v1\nkind: PrometheusRule\n", "this PrometheusRule has no 'spec'"),
        ("apiVersion: 1\ngroups: [{orgId: 1, folder: f, rules: []}]\n", "this is a Grafana provisioning file"),
    ],
)
def test_other_objects_are_refused_with_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (only,) = problems(tmp_path, text)
    assert sentence in only


def test_two_rule_files_in_one_are_refused(tmp_path: Path) -> None:
    (only,) = problems(tmp_path, "groups: []\n---\ngroups: []\n")
    assert only == "r.yml:3: holds more than one document (write one file for each)"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("apiVersion: v1\nkind: ConfigMap\n", "ConfigMap"), ("kind: ConfigMap\n", ""),
        ("apiVersion: v1\nkind: 3\n", ""),
        ("apiVersion: v1\n", ""), ("[1]\n", ""),
    ],
)  # fmt: skip
def test_an_object_has_an_api_version_and_a_kind(text: str, kind: str) -> None:
    """A rule file may not become an object by one key."""
    assert kind_of(parse(text, Document("a.yml"))) == kind


def test_only_rules_are_chosen_of_several_objects() -> None:
    """Without one, all stay, so that each is reported."""
    rules, other = (parse(f"apiVersion: v1\nkind: {kind}\n", Document("a")) for kind in ("PrometheusRule", "Secret"))
    assert chosen([other, rules, other]) == [rules]
    assert chosen([other, other]) == [other, other]
    with pytest.raises(ConfigError, match="more than one document"):
        chosen([rules, parse("groups: []\n", Document("a"))])
