"""Order inside an evaluation: what an alert sees of recording rules before and after it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bridge.authoring.unit_tests.file import read_unit_test_file
from bridge.authoring.unit_tests.order import looking_back
from bridge.authoring.unit_tests.runner import run

RULES = """
groups:
- name: g
  rules:
  - {alert: Before, expr: 'job:x:rec > 5'}
  - {record: 'job:x:rec', expr: x}
  - {alert: After, expr: 'job:x:rec{job="a"} > 5'}
- name: h
  rules:
  - {alert: OfLaterGroup, expr: '(job:y:rec) > 5'}
- name: i
  rules:
  - {record: 'job:y:rec', expr: x}
"""
FIRING = '[{exp_labels: {job: a, project: p, pipeline: q, version: "1"}}]'
TEST = f"""
rule_files: [rules.yml]
evaluation_interval: 1m
group_eval_order: [g, h, i]
tests:
- interval: 1m
  input_series:
  - {{series: 'x{{job="a",project="p",pipeline="q",version="1"}}', values: '1 1 9 1 1 1'}}
  alert_rule_test:
  - {{eval_time: 2m, alertname: Before, exp_alerts: []}}
  - {{eval_time: 3m, alertname: Before, exp_alerts: {FIRING}}}
  - {{eval_time: 4m, alertname: Before, exp_alerts: []}}
  - {{eval_time: 2m, alertname: After, exp_alerts: {FIRING}}}
  - {{eval_time: 3m, alertname: After, exp_alerts: []}}
  - {{eval_time: 2m, alertname: OfLaterGroup, exp_alerts: []}}
  - {{eval_time: 3m, alertname: OfLaterGroup, exp_alerts: {FIRING}}}
"""


def test_an_alert_sees_later_recording_rules_one_evaluation_late(tmp_path: Path) -> None:
    """As promtool says of the same file, within a group and over groups."""
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "test.yml").write_text(TEST)
    command = ["promtool", "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (outcome,) = run([read_unit_test_file(tmp_path / "test.yml")], "prometheus")
    assert (outcome.failures, outcome.error) == ((), "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r > 5", "r offset 1ms > 5"),
        ('sum by (r) (rate(r{a="r"}[5m])) > r', 'sum by (r) (rate(r{a="r"}[5m] offset 1ms)) > r offset 1ms'),
        ("max_over_time(r[5m:1m])", "max_over_time(r[5m:1m] offset 1ms)"),
        ("r offset 5m + r @ 5 + s", "r offset 5m + r @ 5 + s"),
        ("r(5) + on (r) group_left (r) s", "r(5) + on (r) group_left (r) s"),
        ("'r' # r", "'r' # r"),
    ],
)
def test_only_selectors_of_the_series_look_back(text: str, expected: str) -> None:
    """Not labels, texts and functions of the same name, and nothing that looks back already."""
    assert looking_back(text, frozenset({"r"})) == expected
