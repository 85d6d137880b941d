"""Command `check`: output formats, exit codes, warnings."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import CONFIG, RULES, Command


def test_valid_files_succeed(command: Command, files: Path) -> None:
    """Exit code 0, and each file is named."""
    config, rules = files / "bridge.yml", files / "rules.yml"
    assert command("check", "config", str(config)) == (0, f"{config}: SUCCESS\n", "")
    assert command("check", "rules", str(rules)) == (0, f"{rules}: SUCCESS\n", "")


def test_errors_have_file_and_line(command: Command, files: Path) -> None:
    """Exit code 1, with the number of problems."""
    rules = files / "rules.yml"
    rules.write_text(RULES.replace("retrain: Drifted, expr", "retrain: Drifted, exprs"))
    code, out, err = command("check", "rules", str(rules))
    assert (code, out) == (1, "")
    assert f"{rules}:5:24: groups[0].rules[0].exprs: unknown key 'exprs' (did you mean 'expr'?)" in err
    assert "found" in err


def test_prometheus_is_queried_only_with_its_flag(command: Command, files: Path) -> None:
    """Then an unavailable server is a problem, after those of the files."""
    config = files / "bridge.yml"
    config.write_text(CONFIG.format(url="http://localhost:1/hook").replace("localhost:9090", "127.0.0.1:1"))
    assert command("check", "config", str(config))[0] == 0
    code, _, err = command("check", "config", "--ask-prometheus", str(config))
    assert (code, "prometheus.url: http://127.0.0.1:1: Connection refused" in err) == (1, True), err


def test_lint_findings_are_warnings_unless_fatal(command: Command, tmp_path: Path) -> None:
    """Exit code 0 with warnings, 1 if they are fatal; none is printed on request."""
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n- name: g\n  interval: 5m\n  rules:\n  - {retrain: A, expr: up == 0, for: 1m}\n")
    code, out, err = command("check", "rules", str(file))
    assert (code, out) == (0, f"{file}: SUCCESS\n")
    assert err.endswith("[shorter-than-interval]\n1 warning found\n")
    assert command("check", "rules", str(file), "--lint=none") == (0, f"{file}: SUCCESS\n", "")
    code, out, err = command("check", "rules", str(file), "--lint=fatal")
    assert (code, out) == (1, "")


def test_an_error_in_one_file_does_not_hide_warnings_of_another(command: Command, files: Path) -> None:
    """Each file is checked as far as possible."""
    (files / "rules.yml").write_text(RULES.replace("}\n", ", for: 1s}\n"))
    wrong = files / "wrong.yml"
    wrong.write_text("{}")
    code, out, err = command("check", "config", str(wrong), str(files / "bridge.yml"))
    assert (code, out) == (1, "")
    assert "[shorter-than-interval]" in err
    assert err.endswith("problems and 1 warning found\n")


def test_problems_are_printed_as_json(command: Command, tmp_path: Path) -> None:
    """Errors and warnings alike, with their positions."""
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n- name: g\n  rules:\n  - {retrain: A, expr: up == 0, for: 10s}\n")
    code, out, _ = command("check", "rules", str(file), "--output=json")
    (problem,) = json.loads(out)["problems"]
    assert (code, problem["line"], problem["severity"], problem["lint"]) == (0, 4, "warning", "shorter-than-interval")
    file.write_text("groups: {}\n")
    code, out, _ = command("check", "rules", str(file), "--output=json")
    (problem,) = json.loads(out)["problems"]
    assert (code, problem["severity"], problem["lint"], problem["path"]) == (1, "error", "", "groups")


def test_schemas_are_printed(command: Command) -> None:
    """One for each kind of file."""
    for kind in ("config", "rules", "tests"):
        code, out, _ = command("check", "schema", kind)
        assert (code, json.loads(out)["$schema"]) == (0, "https://json-schema.org/draft/2020-12/schema")


def test_problems_are_printed_as_github_annotations(command: Command, tmp_path: Path) -> None:
    """One workflow command a line, with place and title; what would end it early is escaped."""
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n- name: g\n  rules:\n  - {record: a, expr: b}\n  - {alert: A, expr: 'up{a=~\"%(\"}'}\n")
    code, out, _ = command("check", "rules", str(file), "--lint=none", "--output=github")
    place = f"file={file},line=5,col=29,title=groups[0].rules[1].expr"
    text = 'groups[0].rules[1].expr: =~"%25(": not a regular expression: missing ): %25('
    assert (code, out.splitlines()) == (1, [f"::error {place}::{text}"])
    file.write_text("groups:\n- name: g\n  rules:\n  - {record: a, expr: b}\n  - {alert: A, expr: up}\n")
    code, out, _ = command("check", "rules", str(file), "--output=github")
    heads = [line.split("::")[1] for line in out.splitlines()]
    assert (code, heads) == (0, [
        f"notice file={file},line=4,title=recording-rules",
        f"warning file={file},line=5,title=always-in-result",
    ])  # fmt: skip
