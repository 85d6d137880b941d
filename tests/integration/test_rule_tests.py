"""`test rules` with a real Prometheus, and beside promtool."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.support.servers import wait_until

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
    (told, code) = command(folder, "test.yml", *flags, env=env)
    return code, "".join(told)


def run_all(folder: Path, tests: Sequence[object], rule_files: Sequence[str] = ("rules.yml",)) -> tuple[int, str]:
    """Exit code and output of several tests, at a minute's interval."""
    (folder / "rules.yml").write_text(RULES)
    file = {"rule_files": list(rule_files), "evaluation_interval": "1m", "tests": tests}
    (folder / "test.yml").write_text(json.dumps(file, indent=1))
    (told, code) = command(folder, "test.yml")
    return code, "".join(told)


def command(folder: Path, *words: str, env: dict[str, str] | None = None) -> tuple[tuple[str, str], int]:
    """Both outputs and the exit code of `test rules`."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli", "test", "rules", *words],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **(env or {})},
    )  # fmt: skip
    return (done.stdout, done.stderr), done.returncode


def test_the_shipped_rules_pass_their_tests() -> None:
    """rules/tests are run as a user runs them."""
    files = sorted((ROOT / "rules" / "tests").glob("*.yml"))
    command = [sys.executable, "-m", "bridge.cli", "test", "rules", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
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


def test_what_is_not_as_expected_is_reported_with_its_line(tmp_path: Path) -> None:
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
        index for index, line in enumerate((tmp_path / "test.yml").read_text().splitlines()) if '"7m"' in line
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


def test_series_without_the_mapped_labels_are_explained(tmp_path: Path) -> None:
    """Also of a rule without a strategy, whose result never changes."""
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{retrain: Drifted, expr: model_drift > 0.6}]}]")
    test = {"input_series": [SERIES], "retrain_rule_test": [{"eval_time": "9m", "exp_requests": [{"rule": "Drifted"}]}]}
    labels = {"project": {"const": "shop"}, "pipeline": "job", "version": "instance"}
    file = {"rule_files": ["rules.yml"], "models": {"labels": labels}, "tests": [test]}
    (tmp_path / "test.yml").write_text(json.dumps(file))
    (told, _), code = command(tmp_path, "test.yml")
    assert code == 1
    assert told.splitlines()[1] == (
        "  note: series of Drifted without the label job were skipped; models are read from the labels pipeline: job,"
        " version: instance (to change that, set models or --config.file)"
    )


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
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_the_same_alerts_at_the_same_minutes(tmp_path: Path) -> None:
    """Random series with gaps and stale markers, from time 0 on; `for` and `keep_firing_for` included.

    Every minute is expected to fire, so that both name the minutes that do not.
    """
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    parts = ["0.7", "0.7x3", "0.7x5", "0.1", "0.1x2", "_", "_x3", "stale", "NaN", "Inf"]
    values = [" ".join(["0.7x2"] + [draw.choice(parts) for _ in range(12)]) for _ in range(6)]
    rules = [
        {"alert": "Plain", "expr": "x > 0.6"},
        {"alert": "Lasting", "expr": "x > 0.6", "for": "2m"},
        {"alert": "Kept", "expr": "x > 0.6", "for": "1m", "keep_firing_for": "3m"},
    ]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "interval": "1m", "rules": rules}]}))
    expected = [
        {"eval_time": f"{minute}m", "alertname": rule["alert"], "exp_alerts": [{"exp_labels": MODEL}]}
        for minute in range(40) for rule in rules
    ]  # fmt: skip
    tests = [
        {"interval": "1m", "input_series": [{**SERIES, "series": SERIES["series"].replace("model_drift", "x"),
                                             "values": text}], "alert_rule_test": expected}
        for text in values
    ]  # fmt: skip
    for number, test in enumerate(tests):
        file = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
        (tmp_path / f"{number}.yml").write_text(json.dumps(file))
        theirs = subprocess.run(
            ["promtool", "test", "rules", f"{number}.yml"],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        (ours, _), _ = command(tmp_path, f"{number}.yml")
        missed = re.findall(r"alertname: (\w+), time: (\w+)", theirs.stdout + theirs.stderr)
        assert 0 < len(missed) < len(expected), values[number]
        assert re.findall(r"alerts of (\w+) at (\w+):", ours) == missed, values[number]


def test_a_test_sees_nothing_of_the_one_before(tmp_path: Path) -> None:
    """However far its expressions look back; and its clock begins anew."""
    tests: list[dict[str, Any]] = [
        {"name": "first", "input_series": [SERIES]},
        {"name": "second", "promql_expr_test": [
            {"expr": "model_drift offset 1w or last_over_time(model_drift[100d])", "eval_time": "5m"},
            {"expr": "time()", "eval_time": "5m", "exp_samples": [{"value": 300}]},
            {"expr": "month()", "eval_time": "5m", "exp_samples": [{"value": 1}]},
        ]},
    ]  # fmt: skip
    code, said = run_all(tmp_path, tests)
    assert (code, said) == (0, "test.yml: first: SUCCESS\ntest.yml: second: SUCCESS\n")


def test_the_age_of_a_model_is_reported_by_the_clock_of_the_test(tmp_path: Path) -> None:
    """It begins at 0, or where the test says; slots are whole intervals from there on, 7 of which make no hour."""
    rules = {"groups": [{"name": "g", "interval": "7m", "rules": [
        {"retrain": "Old", "expr": "time() - trained > 1200", "for": "7m"},
    ]}]}  # fmt: skip
    (tmp_path / "old.yml").write_text(json.dumps(rules))
    series = SERIES["series"].replace("model_drift", "trained")
    expected = [{"eval_time": "1h", "exp_requests": [{"triggered_at": "28m"}]},
                {"eval_time": "21m", "exp_decisions": [{"outcome": "none", "reason": "must last"}]}]  # fmt: skip
    tests = [
        {"input_series": [{"series": series, "values": "0x60"}], "retrain_rule_test": expected},
        {"start_timestamp": "2024-02-29T00:00:13Z", "retrain_rule_test": expected,
         "input_series": [{"series": series, "values": "1709164813x60"}],
         "promql_expr_test": [{"expr": "day_of_month()", "eval_time": "0m", "exp_samples": [{"value": 29}]}]},
        {"start_timestamp": 60, "input_series": [{"series": series, "values": "60x60"}],
         "retrain_rule_test": expected},
    ]  # fmt: skip
    code, said = run_all(tmp_path, tests, rule_files=["old.yml"])
    assert (code, said) == (0, "".join(f"test.yml: test {number}: SUCCESS\n" for number in (1, 2, 3)))


def test_nothing_passes_because_nothing_was_checked(tmp_path: Path) -> None:
    """Rules that are not there, instants between two slots, answers that are no samples."""
    code, said = run(tmp_path, {
        "name": "vain",
        "alert_rule_test": [{"eval_time": "1m", "alertname": "Hihg"}],
        "retrain_rule_test": [
            {"eval_time": "1m", "rule": "Drifte", "exp_requests": []},
            {"eval_time": "90s", "exp_decisions": []},
            {"eval_time": "1m", "exp_requests": [{"rule": "Dritfed"}]},
        ],
        "promql_expr_test": [{"expr": expr, "eval_time": "1m"} for expr in ("x[1m]", '"x"', "sum(")],
    })  # fmt: skip
    assert code == 1
    told = sorted(re.sub(r"^ *test\.yml:\d+: ", "", line) for line in said.splitlines()[1:])
    assert told == [
        '"x": must return an instant vector or a scalar, not a string',
        "no rule is evaluated at 1m30s: group g is every 1m",
        'sum(: invalid parameter "query": 1:5: parse error: unclosed left parenthesis',
        "there is no rule 'Drifte' in the rule files (did you mean 'Drifted'?)",
        "there is no rule 'Dritfed' in the rule files (did you mean 'Drifted'?)",
        "there is no rule 'Hihg' in the rule files (did you mean 'High'?)",
        "x[1m]: must return an instant vector or a scalar, not a range vector",
    ]


def test_a_rule_that_cannot_be_evaluated_is_reported_once(tmp_path: Path) -> None:
    """With the first instant, and how often more."""
    rules = {"groups": [{"name": "g", "interval": "1m", "rules": [
        {"retrain": "Bad", "expr": "a{project!=''} * on() group_left b > 0"},
    ]}]}  # fmt: skip
    (tmp_path / "bad.yml").write_text(json.dumps(rules))
    series = [{"series": f'b{{n="{number}"}}', "values": "1x9"} for number in (1, 2)]
    series += [{"series": SERIES["series"].replace("model_drift", "a"), "values": "1x9"}]
    tests = [{"input_series": series, "retrain_rule_test": [{"eval_time": "9m", "exp_requests": []}]}]
    code, said = run_all(tmp_path, tests, rule_files=["bad.yml"])
    assert code == 1
    assert said.count("was not evaluated") == 1
    assert "at 0s and 9 more times rule Bad was not evaluated:" in said


def test_labels_of_a_request_can_be_expected(tmp_path: Path) -> None:
    """Those that are given; others may be anything."""
    asked = [{"eval_time": "7m", "exp_requests": [{"rule": "Drifted", "exp_labels": {"severity": "page"}}]}]
    assert run(tmp_path, {"input_series": [SERIES], "retrain_rule_test": asked})[0] == 0
    asked[0]["exp_requests"][0]["exp_labels"] = {"severity": "ticket"}  # type: ignore[index]
    code, said = run(tmp_path, {"input_series": [SERIES], "retrain_rule_test": asked})
    assert code == 1
    assert '"exp_labels": {"severity": "ticket"}' in said
    assert '"exp_labels": {"severity": "page"}' in said


def test_every_error_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    """Before anything is started; a rule file that several use is told once."""
    (tmp_path / "a.yml").write_text("rule_files: [none.yml]\n")
    (tmp_path / "b.yml").write_text("testz: []\n")
    (done, code) = command(tmp_path, "a.yml", "b.yml", "c.yml")
    assert code == 1
    assert done[1].splitlines()[-1] == "3 problems found"
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text("rule_files: [bad.yml]\n")
    (tmp_path / "bad.yml").write_text("groups: 3\n")
    (done, code) = command(tmp_path, "a.yml", "b.yml")
    assert (code, done[1].splitlines()[-1]) == (1, "1 problem found")


def test_a_run_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    """No Prometheus, no folder: a CI server's SIGTERM while a test is being evaluated."""
    (tmp_path / "rules.yml").write_text(RULES)
    long = {"interval": "1m", "input_series": [{**SERIES, "values": "0.1+0.001x30000"}],
            "retrain_rule_test": [{"eval_time": "20d", "exp_requests": []}]}  # fmt: skip
    (tmp_path / "test.yml").write_text(json.dumps({"rule_files": ["rules.yml"], "tests": [long] * 20}))
    (folders := tmp_path / "folders").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge.cli", "test", "rules", "test.yml"],
        cwd=tmp_path, stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "TMPDIR": str(folders)},
    )  # fmt: skip
    try:
        wait_until(lambda: bool(list(folders.glob("*/data/wal/*"))), 30, "a Prometheus")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.terminate()
        process.communicate(timeout=300)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 143
    assert len(children) == 1
    assert not Path(f"/proc/{children[0]}").exists()
    assert list(folders.iterdir()) == []


def test_a_missing_prometheus_is_reported_with_a_hint(tmp_path: Path) -> None:
    """Nothing is evaluated by code of ours."""
    code, said = run(tmp_path, {}, env={"PATH": str(tmp_path)})
    assert code == 1
    assert said.startswith("retrain-bridge: there is no prometheus on PATH: PromQL is evaluated by a real Prometheus.")
    assert "--prometheus.binary" in said
    code, said = run(tmp_path, {}, "--prometheus.binary=/bin/false")
    assert (code, said) == (1, "retrain-bridge: Prometheus did not start: no word of it\n")


def test_every_error_of_an_invalid_file_is_reported(tmp_path: Path) -> None:
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
    assert run(tmp_path, {"name": "one"}, "--run=two") == (1, "no test matches 'two'\n")
