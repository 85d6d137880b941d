"""promtool's unit-test files, read strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.authoring.unit_tests.file import UnitTestFile, read_unit_test_file, read_unit_test_files
from bridge.domain.errors import ConfigError


def read(folder: Path, test: dict[str, Any], **more: Any) -> UnitTestFile:
    """A file of one test."""
    path = folder / "test.yml"
    path.write_text(json.dumps({"rule_files": [], "tests": [test], **more}))
    return read_unit_test_file(path)


def problems(folder: Path, test: dict[str, Any], **more: Any) -> list[str]:
    """What is wrong, without the file's name and line."""
    with pytest.raises(ConfigError) as caught:
        read(folder, test, **more)
    return [str(problem).partition(": ")[2] for problem in caught.value.problems]


def test_the_default_interval_of_samples_is_the_evaluation_interval(tmp_path: Path) -> None:
    """As promtool's documentation has it; a minute when nothing is said."""
    file = read(tmp_path, {}, evaluation_interval="5s")
    assert file.interval(file.section.tests[0]) == 5_000
    file = read(tmp_path, {"interval": "7s"}, evaluation_interval="5s")
    assert file.interval(file.section.tests[0]) == 7_000
    file = read(tmp_path, {})
    assert file.interval(file.section.tests[0]) == 60_000


@pytest.mark.parametrize(
    ("given", "instant"),
    [(0, 0), (1609459200, 1609459200_000), (1.5, 1500), ("1609459200", 1609459200_000),
     ("2021-01-01T00:00:00Z", 1609459200_000), ("2021-01-01T01:00:00+01:00", 1609459200_000)],
)  # fmt: skip
def test_a_test_begins_at_its_start_timestamp(tmp_path: Path, given: object, instant: int) -> None:
    """Seconds since 1970, or RFC 3339."""
    assert read(tmp_path, {"start_timestamp": given}).section.tests[0].start_timestamp == instant


@pytest.mark.parametrize("given", [-1, True, "soon", "2021-01-01", "1960-01-01T00:00:00Z", 1e300, []])
def test_an_invalid_start_timestamp_is_refused(tmp_path: Path, given: object) -> None:
    """With an example of one."""
    assert problems(tmp_path, {"start_timestamp": given}) == [
        "tests[0].start_timestamp: must be seconds since 1970, or an instant such as 2026-01-31T00:00:00Z"
    ]


def test_words_that_nothing_is_called_are_refused(tmp_path: Path) -> None:
    """Outcomes, states and gates, with the near one."""
    asked = [{"eval_time": "1m", "exp_requests": [{"state": "runing"}, {"hold": "cooldwn"}],
              "exp_decisions": [{"outcome": "requsted"}]}]  # fmt: skip
    found = problems(tmp_path, {"retrain_rule_test": asked})
    path = "tests[0].retrain_rule_test[0]"
    assert sorted(found) == [
        f"{path}.exp_decisions[0].outcome: unknown outcome 'requsted' (did you mean 'requested'?)",
        f"{path}.exp_requests[0].state: unknown state 'runing' (did you mean 'running'?)",
        f"{path}.exp_requests[1].hold: unknown hold 'cooldwn' (did you mean 'cooldown'?)",
    ]


def test_a_series_is_given_once(tmp_path: Path) -> None:
    """However it is written; else one of two values would be lost without a word."""
    series = [{"series": text, "values": "1"} for text in ('x{a="1",b="2"}', "y", "x{b='2',a='1',c=''}")]
    assert problems(tmp_path, {"input_series": series}) == [
        "tests[0].input_series[2].series: is the series of input_series[0] again (give it once)"
    ]


def test_numbers_and_labels_of_samples_are_checked(tmp_path: Path) -> None:
    """Before anything is evaluated."""
    samples = [{"labels": "x{", "value": 1}, {"labels": "{}", "value": "one"}, {"labels": "", "value": "+Inf"}]
    found = problems(tmp_path, {"promql_expr_test": [{"expr": "x", "eval_time": "0m", "exp_samples": samples}]})
    assert found == [
        "tests[0].promql_expr_test[0].exp_samples[0].labels: 'x{' is not a series; write name{label=\"value\"}",
        "tests[0].promql_expr_test[0].exp_samples[1].value: could not convert string to float: 'one'",
    ]


def test_rule_files_are_found_by_globs_from_the_file(tmp_path: Path) -> None:
    """Each once; a glob that finds nothing is a mistake."""
    for name in ("b.yml", "a.yml"):
        (tmp_path / "rules").mkdir(exist_ok=True)
        (tmp_path / "rules" / name).write_text("groups: []\n")
    file = read(tmp_path, {}, rule_files=["rules/b.yml", "rules/*.yml"])
    assert file.rule_files == (tmp_path / "rules/b.yml", tmp_path / "rules/a.yml")
    assert problems(tmp_path, {}, rule_files=["rules/c*.yml"]) == [
        f"rule_files[0]: no file matches 'rules/c*.yml' (looked in {tmp_path})"
    ]


def test_a_question_without_an_expectation_is_refused(tmp_path: Path) -> None:
    """It would pass whatever happens."""
    assert problems(tmp_path, {"retrain_rule_test": [{"eval_time": "1m", "rule": "a"}]}) == [
        "tests[0].retrain_rule_test[0]: expects nothing (give exp_requests or exp_decisions)"
    ]


def test_several_files_are_read_before_any_is_refused(tmp_path: Path) -> None:
    """A file named twice is read once."""
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text("rule_files: []\n")
    bad.write_text("rule_fils: []\n")
    assert [file.path for file in read_unit_test_files([good, good])] == [good]
    with pytest.raises(ConfigError) as caught:
        read_unit_test_files([bad, good, tmp_path / "none.yml"])
    assert {problem.file for problem in caught.value.problems} == {str(bad), str(tmp_path / "none.yml")}


def test_a_file_is_read_as_promtool_reads_it(tmp_path: Path) -> None:
    """Numbers where text is wanted, empty keys, no rule_files, no eval_time, intervals of 0."""
    path = tmp_path / "test.yml"
    path.write_text(
        "evaluation_interval: 0s\n"
        "tests:\n"
        "- interval: 0\n"
        "  external_labels: {shard: 3}\n"
        "  input_series: [{series: m, values: 1}]\n"
        "  alert_rule_test:\n"
        "  - alertname: A\n"
        "    exp_alerts:\n"
        "    - exp_labels: {pool_id: 3}\n"
        "  promql_expr_test: [{expr: 1, exp_samples: [{value: 1}]}]\n"
        "  retrain_rule_test:\n"
    )
    file = read_unit_test_file(path)
    (test,) = file.section.tests
    assert (file.rule_files, file.interval(test), file.evaluation_interval) == ((), 60_000, 60_000)
    assert (test.input_series[0].values, test.external_labels) == ("1", {"shard": "3"})
    (alert,) = test.alert_rule_test
    assert (alert.eval_time, alert.exp_alerts[0].exp_labels) == (0, {"pool_id": "3"})
    assert (test.promql_expr_test[0].expr, test.promql_expr_test[0].exp_samples[0].value) == ("1", 1.0)
