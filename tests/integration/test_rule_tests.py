"""`test rules` with a real Prometheus, and beside promtool."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
RULES = """
groups:
- name: g
  interval: 1m
  signals: {drift: {event: drift, expr: model_drift}}
  rules:
  - {retrain: Drifted, signal: drift, strategy: {threshold: {max: 0.6}}, for: 2m, labels: {severity: page}}
  - {alert: High, expr: model_drift > 0.9}
"""
SERIES = {"series": 'model_drift{project="shop",pipeline="ranking",version="7"}', "values": "0.1x4 0.7x4 0.95x4"}
MODEL = {"project": "shop", "pipeline": "ranking", "version": "7"}


def run(folder: Path, test: dict[str, Any], *flags: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and output of one test over RULES."""
    (folder / "rules.yml").write_text(RULES)
    whole = {"interval": "1m", "input_series": [SERIES], **test}
    file = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [whole]}
    (folder / "test.yml").write_text(json.dumps(file, indent=1))
    command = [sys.executable, "-m", "bridge.cli", "test", "rules", "test.yml", *flags]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **(env or {})},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_shipped_rules_pass_their_tests() -> None:
    """rules/tests are run as a user runs them."""
    files = sorted((ROOT / "rules" / "tests").glob("*.yml"))
    command = [sys.executable, "-m", "bridge.cli", "test", "rules", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count("SUCCESS") >= 3


def test_what_is_as_expected_passes(tmp_path: Path) -> None:
    """Alerts of both kinds of rules, requests, decisions and an expression, at their instants."""
    alert = {"exp_labels": {**MODEL, "severity": "page"}}
    code, said = run(tmp_path, {
        "name": "all of it",
        "alert_rule_test": [
            {"eval_time": "6m", "alertname": "Drifted", "exp_alerts": []},
            {"eval_time": "7m", "alertname": "Drifted", "exp_alerts": [alert]},
            {"eval_time": "10m", "alertname": "High", "exp_alerts": [{"exp_labels": MODEL}]},
        ],
        "retrain_rule_test": [
            {"eval_time": "7m", "exp_requests": [{**MODEL, "triggered_at": "7m", "reason": "above 0.6 for 2m"}],
             "exp_decisions": [{"rule": "Drifted", "outcome": "requested"}]},
            {"eval_time": "10m", "rule": "High", "exp_decisions": [{"outcome": "notified"}]},
        ],
        "promql_expr_test": [
            {"expr": "sum(model_drift)", "eval_time": "5m", "exp_samples": [{"labels": "{}", "value": 0.7}]},
        ],
    })  # fmt: skip
    assert (code, said) == (0, "test.yml: all of it: SUCCESS\n")


def test_what_is_not_as_expected_is_told_with_its_line(tmp_path: Path) -> None:
    """Both sides, sorted; JUnit has them too."""
    code, said = run(tmp_path, {
        "name": "wrong",
        "alert_rule_test": [{"eval_time": "7m", "alertname": "Drifted", "exp_alerts": []}],
        "retrain_rule_test": [{"eval_time": "7m", "exp_requests": [{**MODEL, "triggered_at": "6m"}]}],
        "promql_expr_test": [{"expr": "model_drift", "eval_time": "0m", "exp_samples": []}],
    }, "--junit=out.xml")  # fmt: skip
    assert code == 1
    lines = said.splitlines()
    number = 1 + next(
        place for place, line in enumerate((tmp_path / "test.yml").read_text().splitlines()) if '"7m"' in line
    )
    assert lines[0] == "test.yml: wrong: FAILED"
    assert lines[1] == f"  test.yml:{number - 1}: alerts of Drifted at 7m:"
    assert lines[2] == (
        '    there, and not expected: {"labels": {"pipeline": "ranking", "project": "shop", "severity": "page", '
        '"version": "7"}}'
    )
    assert (
        '    expected, and not there: {"pipeline": "ranking", "project": "shop", "triggered_at": "6m", "version": "7"}'
        in said
    )
    assert '"triggered_at": "7m"' in said
    (suite,) = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), len(suite.findall("testcase/failure"))) == ("1", "1", 3)


def test_a_stale_marker_ends_a_series_at_once(tmp_path: Path) -> None:
    """Without it the last value would hold for five minutes more."""
    base = {"series": SERIES["series"], "values": "0.7x3 stale"}
    code, said = run(tmp_path, {
        "input_series": [base],
        "promql_expr_test": [
            {"expr": "model_drift", "eval_time": "3m", "exp_samples": [{"labels": SERIES["series"], "value": 0.7}]},
            {"expr": "model_drift", "eval_time": "4m", "exp_samples": []},
        ],
        "retrain_rule_test": [
            {"eval_time": "4m", "rule": "Drifted", "exp_decisions": [{"outcome": "inconclusive", "reason": "no_data"}]}
        ],
    })  # fmt: skip
    assert code == 0, said


def test_promtool_agrees_where_it_can(tmp_path: Path) -> None:
    """The same file without our keys and rules: samples, steps, gaps, functions of time and range."""
    asked = [
        {"expr": "increase(c[3m])", "eval_time": "5m", "exp_samples": [{"labels": "{}", "value": 6}]},
        {"expr": "hour()", "eval_time": "90m", "exp_samples": [{"labels": "{}", "value": 1}]},
        {"expr": "day_of_week()", "eval_time": "0m", "exp_samples": [{"labels": "{}", "value": 4}]},
        {"expr": "count_over_time(g[10m])", "eval_time": "9m", "exp_samples": [{"labels": "{}", "value": 7}]},
        {"expr": "scalar(sum(g))", "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 2}]},
    ]
    series = [{"series": "c", "values": "0+2x200"}, {"series": "g", "values": "1+1x3 _x3 9 9 9"}]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": asked}
    code, said = run(tmp_path, test)
    assert code == 0, said
    theirs = {"rule_files": [], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "theirs.yml").write_text(json.dumps(theirs))
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "theirs.yml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_prometheus_it_says_what_to_do(tmp_path: Path) -> None:
    """Nothing is evaluated by code of ours."""
    code, said = run(tmp_path, {}, env={"PATH": str(tmp_path)})
    assert code == 1
    assert said.startswith("retrain-bridge: there is no prometheus on PATH: PromQL is evaluated by a real Prometheus.")
    assert "--prometheus.binary" in said
    code, said = run(tmp_path, {}, "--prometheus.binary=/bin/false")
    assert (code, said) == (1, "retrain-bridge: Prometheus did not start: no word of it\n")


def test_a_wrong_file_names_every_mistake(tmp_path: Path) -> None:
    """With line and path, before anything is started."""
    code, said = run(tmp_path, {
        "input_series": [{"series": "x{", "values": "1+x"}],
        "retrain_rule_test": [{"eval_time": "7m"}, {"eval_time": 7, "exp_request": []}],
    })  # fmt: skip
    assert code == 1
    assert "tests[0].input_series[0].series: 'x{' is not a series; write name{label=\"value\"}" in said
    assert "tests[0].input_series[0].values: '1+x' is none of 1, 1x3, 1+2x3, 1-2x3, _, _x3, stale" in said
    assert "unknown key 'exp_request' (did you mean 'exp_requests'?)" in said
    assert "must be a duration with a unit, not the number 7" in said


def test_tests_are_chosen_by_name(tmp_path: Path) -> None:
    """And a choice that finds none is no success."""
    assert run(tmp_path, {"name": "one"}, "--run=^on") == (0, "test.yml: one: SUCCESS\n")
    assert run(tmp_path, {"name": "one"}, "--run=two") == (1, "no test was run\n")
