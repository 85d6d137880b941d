"""Rule tests with files of Prometheus as they are: recording rules, severities, templates; promtool agrees."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.integration.test_rule_tests import command

MADE = 'm{project="s",pipeline="p",version="1"}'
OF_P = {"project": "s", "pipeline": "p", "version": "1"}


def both(folder: Path, rules: str, test: dict[str, Any]) -> tuple[int, str, int, str]:
    """Exit code and output of our test command, and of promtool's, over the same files."""
    (folder / "rules.yml").write_text(rules)
    interval = test.get("interval", "1m")
    file = {"rule_files": ["rules.yml"], "evaluation_interval": interval, "tests": [{"interval": interval, **test}]}
    (folder / "test.yml").write_text(json.dumps(file, indent=1))
    (out, err), code = command(folder, "test.yml")
    theirs = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    return code, out + err, theirs.returncode, theirs.stdout + theirs.stderr


def agree(folder: Path, rules: str, test: dict[str, Any]) -> None:
    """Both find what is expected, and both miss what is expected in vain."""
    code, said, theirs, they_said = both(folder, rules, test)
    assert (code, theirs) == (0, 0), said + they_said
    code, said, theirs, they_said = both(folder, rules, in_vain(test))
    assert (code, theirs) == (1, 1), said + they_said
    assert said.count("in_vain") >= len([*test.get("alert_rule_test", ()), *test.get("promql_expr_test", ())]), said


def in_vain(test: dict[str, Any]) -> dict[str, Any]:
    """Return the test with one alert or sample more in each expectation."""
    alert, sample = {"exp_labels": {"in_vain": "yes"}}, {"labels": '{in_vain="yes"}', "value": 1}
    kinds = {"alert_rule_test": ("exp_alerts", alert), "promql_expr_test": ("exp_samples", sample)}
    more = {
        kind: [{**item, key: [*item[key], one]} for item in test[kind]]
        for kind, (key, one) in kinds.items() if kind in test
    }  # fmt: skip
    return {**test, **more}


def test_alerts_stand_on_recording_rules(tmp_path: Path) -> None:
    """Over more than the hour after which Prometheus takes no older sample; a vanished series is stale at once."""
    rules = """
groups:
- name: errors
  rules:
  - {record: 'm:rate', expr: 'sum by (project, pipeline, version) (rate(m[5m]))', labels: {unit: per_second}}
  - {record: 'm:rate:twice', expr: '2 * m:rate'}
  - {record: 'm:gone', expr: 'm > 0 < 300'}
  - {alert: Fast, expr: 'm:rate:twice > 0.9'}
  - {alert: There, expr: 'm:gone > 0'}
"""
    labels = {**OF_P, "unit": "per_second"}
    agree(tmp_path, rules, {
        "input_series": [{"series": MADE, "values": "0+30x200"}],
        "alert_rule_test": [
            {"eval_time": "10m", "alertname": "Fast", "exp_alerts": [{"exp_labels": labels}]},
            {"eval_time": "150m", "alertname": "Fast", "exp_alerts": [{"exp_labels": labels}]},
            {"eval_time": "9m", "alertname": "There", "exp_alerts": [{"exp_labels": OF_P}]},
            {"eval_time": "10m", "alertname": "There", "exp_alerts": []},
        ],
        "promql_expr_test": [
            {"expr": "sum(m:rate)", "eval_time": "3h10m", "exp_samples": [{"value": 0.5}]},
        ],
    })  # fmt: skip


def test_series_may_last_for_centuries(tmp_path: Path) -> None:
    """As long as Go's durations, from 1970 on."""
    longest = 106_700  # days from 1970
    agree(tmp_path, "groups: []", {
        "interval": "100d",
        "input_series": [{"series": MADE, "values": f"0+1x{longest // 100}"}],
        "promql_expr_test": [
            {"expr": "timestamp(m)", "eval_time": at, "exp_samples": [{"labels": "{" + MADE[2:], "value": value}]}
            for at, value in (("0m", 0), ("100d", 100 * 86_400), (f"{longest}d", longest * 86_400))
        ],
    })  # fmt: skip


def test_a_recording_rule_that_fails_is_named(tmp_path: Path) -> None:
    rules = "groups:\n- name: g\n  rules:\n  - {record: r, expr: 'rat(m)'}\n"
    code, said, _, _ = both(tmp_path, rules, {"promql_expr_test": [{"expr": "r", "exp_samples": []}]})
    assert code == 1
    assert "recording rule r was not evaluated at 0s:" in said


def test_one_name_in_several_severities(tmp_path: Path) -> None:
    rules = """
groups:
- name: tiers
  rules:
  - {alert: High, expr: m > 0.3, labels: {severity: warning}}
  - {alert: High, expr: m > 0.6, labels: {severity: critical}}
"""
    alerts = [{"exp_labels": {**OF_P, "severity": word}} for word in ("warning", "critical")]
    agree(tmp_path, rules, {
        "input_series": [{"series": MADE, "values": "0.5 0.7"}],
        "alert_rule_test": [
            {"eval_time": "0m", "alertname": "High", "exp_alerts": alerts[:1]},
            {"eval_time": "1m", "alertname": "High", "exp_alerts": alerts},
        ],
    })  # fmt: skip


def test_labels_and_annotations_are_templates(tmp_path: Path) -> None:
    """With the labels of the series, a query that reads at the slot, and external labels."""
    rules = """
groups:
- name: g
  rules:
  - alert: High
    expr: m > 0.3
    labels: {share: '{{ $value | humanizePercentage }}', tier: 1, none: '{{ $labels.nowhere }}'}
    annotations:
      all: '{{ $labels }}'
      others: '{{ range query "count(m)" }}{{ .Value }}{{ end }} at {{ query "time()" | first | value }}'
      broken: '{{ template "x" }}'
      cluster: '{{ $externalLabels.cluster }}'
"""
    labels = {**OF_P, "feature": "age"}
    printed = "map[__name__:m feature:age pipeline:p project:s version:1]"
    broken = (
        "<error expanding template: error executing template __alert_High: template: __alert_High:1:124: executing "
        '"__alert_High" at <{{template "x"}}>: template "x" not defined>'
    )
    agree(tmp_path, rules, {
        "input_series": [{"series": MADE.replace("}", ',feature="age"}'), "values": "0.5x3"}],
        "external_labels": {"cluster": "eu"},
        "alert_rule_test": [
            {"eval_time": "2m", "alertname": "High", "exp_alerts": [{
                "exp_labels": {**labels, "share": "50%", "tier": "1"},
                "exp_annotations": {"all": printed, "others": "1 at 120", "broken": broken, "cluster": "eu"},
            }]},
        ],
    })  # fmt: skip
