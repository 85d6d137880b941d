"""Test files of promtool whose alerts have no model, and that read the series of alerts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RULES = """
groups:
- name: g
  rules:
  - alert: Down
    expr: up == 0
    for: 5m
    labels: {severity: page, of: '{{ $labels.instance }}'}
    annotations: {summary: '{{ $labels.instance }} down: {{ with query "down:sum" }}{{ . | first | value }}{{ end }}'}
  - alert: Always
    expr: 1
  - record: down:sum
    expr: sum(ALERTS{alertname="Down"})
  - alert: Many
    expr: count(ALERTS{alertname="Down", alertstate="firing"}) > 1
"""
TESTS = """
rule_files: [rules.yml]
tests:
- interval: 1m
  input_series:
  - {series: 'up{job="p", instance="a:1"}', values: '0x8 1 1 0x9'}
  - {series: 'up{job="p", instance="b:1"}', values: '0x20'}
  alert_rule_test:
  - eval_time: 4m
    alertname: Down
    exp_alerts: []
  - eval_time: 7m30s
    alertname: Down
    exp_alerts:
    - exp_labels: {severity: page, of: 'a:1', job: p, instance: 'a:1'}
      exp_annotations: {summary: 'a:1 down: 2'}
    - exp_labels: {severity: page, of: 'b:1', job: p, instance: 'b:1'}
      exp_annotations: {summary: 'b:1 down: 2'}
  - {eval_time: 7m, alertname: Many, exp_alerts: [{}]}
  - {eval_time: 12m, alertname: Many, exp_alerts: []}
  - {eval_time: 0, alertname: Always, exp_alerts: [{}]}
  promql_expr_test:
  - expr: ALERTS
    eval_time: 12m
    exp_samples:
    - labels: ALERTS{alertname="Down",alertstate="pending",instance="a:1",job="p",severity="page",of="a:1"}
      value: 1
    - labels: ALERTS{alertname="Down",alertstate="firing",instance="b:1",job="p",severity="page",of="b:1"}
      value: 1
    - {labels: 'ALERTS{alertname="Always",alertstate="firing"}', value: 1}
  - expr: ALERTS_FOR_STATE{alertname="Down"} > 0
    eval_time: 12m
    exp_samples:
    - {labels: 'ALERTS_FOR_STATE{alertname="Down",instance="a:1",job="p",severity="page",of="a:1"}', value: 660}
  - expr: down:sum
    eval_time: 10m
    exp_samples: [{labels: 'down:sum', value: 1}]
"""


def run_tests(folder: Path, *options: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "bridge.cli", "test", "rules", "test.yml", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "test.yml").write_text(TESTS)
    return tmp_path


def test_alerts_equal_those_of_promtool_with_a_note_on_unmapped_series(folder: Path) -> None:
    """Pending, firing and resolved; read by a recording rule, an alert and a template."""
    promtool = shutil.which("promtool")
    assert promtool is not None
    theirs = subprocess.run(
        [promtool, "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert theirs.returncode == 0, theirs.stdout + theirs.stderr
    code, lines = run_tests(folder)
    assert (code, lines[0]) == (0, "test.yml: test 1: SUCCESS")
    assert [line.split()[4] for line in lines[1:]] == ["Always", "Down", "Many"]
    assert "of no model, so the bridge skips them live" in lines[1]


def test_an_alert_without_its_annotations_fails_as_in_promtool(folder: Path) -> None:
    """Only those of a retrain rule may be left out."""
    (folder / "test.yml").write_text(TESTS.replace("      exp_annotations: {summary: 'a:1 down: 2'}\n", ""))
    code, lines = run_tests(folder)
    assert (code, lines[0]) == (1, "test.yml: test 1: FAILED")


MAPPED = """
models: {labels: {project: job, pipeline: job, version: instance}}
rule_files: [rules.yml]
tests:
- interval: 1m
  input_series: [{series: 'up{job="p", instance="a:1"}', values: '0x8'}]
  alert_rule_test:
  - eval_time: 7m
    alertname: Down
    exp_alerts:
    - exp_labels: {severity: page, of: 'a:1', job: p, instance: 'a:1', project: p, pipeline: p, version: 'a:1'}
      exp_annotations: {summary: 'a:1 down: 1'}
"""


def test_labels_are_mapped_to_models_by_the_test_file_or_a_configuration(folder: Path) -> None:
    """The alert is then the one that the bridge sends."""
    (folder / "test.yml").write_text(MAPPED)
    assert run_tests(folder) == (0, ["test.yml: test 1: SUCCESS"])
    models = MAPPED.splitlines()[1]
    (folder / "test.yml").write_text(MAPPED.replace(models, ""))
    assert run_tests(folder)[0] == 1
    (folder / "bridge.yml").write_text(
        f"{models}\nprometheus: {{url: http://localhost:9090}}\nroute: {{receiver: a}}\n"
        "receivers: [{name: a, log_configs: [{}]}]\n"
    )
    assert run_tests(folder, "--config.file=bridge.yml") == (0, ["test.yml: test 1: SUCCESS"])


HISTOGRAMS = """
tests:
- interval: 1m
  input_series:
  - series: h
    values: '{{schema:1 sum:-0.3 count:29 z_bucket:7 z_bucket_w:0.05 buckets:[5 10 3] offset:-3 n_buckets:[4]}}x1'
  - {series: grows, values: '{{sum:3 count:2 buckets:[2]}}+{{sum:1.3 count:1 buckets:[1]}}x2'}
  promql_expr_test:
  - expr: h
    eval_time: 1m
    exp_samples:
    - labels: h
      histogram: '{{schema:1 sum:-0.3 count:29 z_bucket:7 z_bucket_w:0.05 buckets:[5 10 3] offset:-3 n_buckets:[4]}}'
  - {expr: grows, eval_time: 2m, exp_samples: [{labels: grows, histogram: '{{sum:5.6 count:4 buckets:[4]}}'}]}
  - {expr: histogram_count(grows), eval_time: 1m, exp_samples: [{value: 3}]}
"""


def test_native_histograms_are_written_and_compared(folder: Path) -> None:
    """As far as the Prometheus at hand has them."""
    (folder / "test.yml").write_text(HISTOGRAMS)
    assert run_tests(folder) == (0, ["test.yml: test 1: SUCCESS"])
    (folder / "test.yml").write_text(HISTOGRAMS.replace("buckets:[4]}}", "buckets:[3]}}"))
    assert run_tests(folder)[0] == 1
