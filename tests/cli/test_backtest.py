"""`retrain-bridge backtest`: arguments, output, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import responses
from typer.testing import CliRunner, Result

from bridge.cli.commands import app
from bridge.domain.errors import NoAnswerError, SourceError
from bridge.sources.patience import SHORTER
from tests.support.fake_prometheus import FakePrometheus, Labels, model

FIRST = 1_700_000_000 // 3600 * 3600
SPAN = ["--from", str(FIRST), "--to", str(FIRST + 6 * 3600)]
SERVER = ["--prometheus.url", "http://prometheus.test"]
RULES = """
groups:
- name: serving
  interval: 5m
  query_offset: 0s
  rules:
  - {retrain: High, expr: drift > 0.6}
  - {retrain: Higher, expr: drift > 0.8}
"""
BRIDGE = """
prometheus: {url: http://prometheus.test}
rule_files: [rules.yml]
route: {receiver: team}
receivers:
- name: team
  webhook_configs: [{url: "http://127.0.0.1:9/nobody"}]
"""


def world(expr: str, at: int) -> list[tuple[Labels, str]]:
    """Breached in the second hour; anything but a comparison of drift, or its series, has no result."""
    if expr.startswith("group(") and "drift" in expr:
        return [({}, "1")]
    if not expr.startswith("drift > "):
        return []
    value = 0.9 if (at // 1000 - FIRST) // 3600 == 1 else 0.1
    return [(model(7), str(value))] if value > float(expr.partition(">")[2]) else []


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Run the command in a folder with files, with a server that answers."""
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "bridge.yml").write_text(BRIDGE)
    monkeypatch.chdir(tmp_path)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        FakePrometheus(world).serve(mocked)
        yield lambda *words: CliRunner().invoke(app, ["backtest", *words])


def test_rules_by_themselves(command: Callable[..., Result], tmp_path: Path) -> None:
    """A table, the requests as lines, everything as JSON, a report."""
    written = ["--decisions", "d.jsonl", "--json", "r.json", "--html", "h.html"]
    result = command("--rules", "rules.yml", *SERVER, *SPAN, *written)
    assert result.exit_code == 0, result.output
    assert "│ High      │ retrain │     1 │        1 │" in result.output
    (line,) = [json.loads(text) for text in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert (line["pipeline"], line["version"], line["rule"]) == ("fraud", "7", "High")
    actual = json.loads((tmp_path / "r.json").read_text())
    assert actual["slots"] == 72
    assert actual["requests"][0]["rules"] == ["High", "Higher"]
    assert actual["scores"] == {}
    assert (tmp_path / "h.html").read_text().startswith("<!doctype html>")


def test_a_full_disk_costs_no_results(command: Callable[..., Result], tmp_path: Path) -> None:
    """They are printed first; the error names the file."""
    (tmp_path / "full.json").symlink_to("/dev/full")
    result = command("--rules", "rules.yml", *SERVER, *SPAN, "--json", "full.json")
    assert "│ High      │ retrain │" in result.output
    assert isinstance(result.exception, OSError)
    assert (result.exception.filename, result.exception.strerror) == ("full.json", "No space left on device")


def test_a_server_that_cannot_be_reached_ends_it_at_once(command: Callable[..., Result]) -> None:
    """After one query that the server answers without any data, before the rules' own."""
    result = command("--rules", "rules.yml", "--prometheus.url", "http://127.0.0.1:1", *SPAN)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "")
    assert isinstance(result.exception, SourceError)
    assert str(result.exception).startswith("http://127.0.0.1:1")
    assert "; query:" not in str(result.exception)


def test_a_server_that_answers_no_more_is_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failed query with what follows; the command ends when `vector(1)` has no answer either."""
    (tmp_path / "rules.yml").write_text(RULES.replace("  - {retrain: Higher, expr: drift > 0.8}\n", ""))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bridge.sources.api._PAUSES", (0.0,))
    answers = iter(["the first probe"])

    def dying(expr: str, at: int) -> list[tuple[Labels, str]]:
        if at > (FIRST + 1500) * 1000 and not (expr == "vector(1)" and next(answers, "")):
            raise requests.Timeout
        return world(expr, at)

    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        FakePrometheus(dying).serve(mocked)
        result = CliRunner().invoke(app, ["backtest", "--rules", "rules.yml", *SERVER, *SPAN])
    assert isinstance(result.exception, NoAnswerError)
    follows = [line.partition(": no full answer from http://prometheus.test/api/v1/query_range within 30 s; query: ")[0]
               for line in result.stderr.splitlines()]  # fmt: skip
    assert follows == [f"query failed, {text}" for text in (SHORTER, SHORTER, SHORTER)]
    assert "drift > 0.6; time: 2023-11-14T22:29:06.000Z to " in result.stderr


def test_a_range_without_data_is_reported(command: Callable[..., Result], tmp_path: Path) -> None:
    """Of a signal that has no sample, and of an expression that returns nothing: also where it has no breach."""
    (tmp_path / "rules.yml").write_text(
        "groups:\n- name: serving\n  interval: 5m\n  signals: {late: {event: latency, unit: seconds, expr: p95}}\n"
        "  rules:\n  - {retrain: Slow, signal: late, strategy: {threshold: {max: 1s}}}\n"
        "  - {retrain: High, expr: drift > 2}\n"
    )
    result = command("--rules", "rules.yml", *SERVER, *SPAN)
    assert result.stderr.splitlines() == [
        "Slow: no data in this range", "High: its expression returned nothing in this range",
    ]  # fmt: skip
    assert result.exit_code == 0


def test_a_range_in_which_no_rule_has_data_is_an_error(command: Callable[..., Result], tmp_path: Path) -> None:
    """With the range, and what to do; the results are printed and written nevertheless."""
    (tmp_path / "rules.yml").write_text(RULES.replace("drift", "shift"))
    result = command("--rules", "rules.yml", *SERVER, *SPAN, "--json", "r.json")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "no rule has data from 2023-11-14T22:00:00.000Z to 2023-11-15T04:00:00.000Z. The server has none of their"
        " series in the last year: check the expressions and the URL of the server"
    )
    assert "│ High " in result.stdout
    assert json.loads((tmp_path / "r.json").read_text())["slots"] == 72


def test_a_configuration_as_the_bridge_runs_it(command: Callable[..., Result], tmp_path: Path) -> None:
    """The configured server is used, and nothing is sent (the receiver does not even exist)."""
    result = command("--config.file", "bridge.yml", *SPAN, "--step", "10m", "--json", "r.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "r.json").read_text())["slots"] == 36


def test_labels_score_the_requests(command: Callable[..., Result], tmp_path: Path) -> None:
    """In a table of its own."""
    labels = {**model(7), "rows": [[FIRST - 360_000, 600, 640]], "windows": [[FIRST + 3000, FIRST + 7200]]}
    (tmp_path / "labels.json").write_text(json.dumps({"models": [labels]}))
    result = command("--rules", "rules.yml", *SERVER, *SPAN, "--labels", "labels.json", "--json", "r.json")
    assert result.exit_code == 0, result.output
    assert "every 24 h" in result.output
    scores = json.loads((tmp_path / "r.json").read_text())["scores"]
    assert [(name, item["detected"], item["false_alarms"]) for name, item in scores.items()][:3] == [
        ("High", 1, 0), ("Higher", 0, 0), ("all rules", 1, 0),
    ]  # fmt: skip


def test_the_same_arguments_continue_an_interrupted_run(command: Callable[..., Result], tmp_path: Path) -> None:
    """`now` is that of the first run."""
    words = ["--rules", "rules.yml", *SERVER, "--from", "now-2h", "--json", "r.json", "--resume", "progress"]
    assert command(*words).exit_code == 0
    first = (tmp_path / "r.json").read_text()
    assert command(*words).exit_code == 0
    assert (tmp_path / "r.json").read_text() == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "now-1d"], "set either --config.file, or --rules"),
        (["--from", "now-1d", "--rules", "rules.yml"], "--rules needs --prometheus.url"),
        (
            ["--from", "now-1d", "--rules", "rules.yml", "--config.file", "bridge.yml"],
            "set either --config.file, or --rules",
        ),
        (["--from", "yesterday", "--config.file", "bridge.yml"], "--from: 'yesterday' is not a time"),
        (["--from", "now", "--to", "now-1d", "--config.file", "bridge.yml"], "--from must be before --to"),
        (["--from", "now-1d", "--config.file", "bridge.yml", "--step", "0s"], "--step must be greater than 0"),
    ],
)
def test_wrong_words_are_refused(command: Callable[..., Result], words: list[str], message: str) -> None:
    """With exit code 2 and a hint."""
    result = command(*words)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_an_end_in_the_future_is_reported(command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may have such samples, for example of a simulation, but more likely the time is a mistake."""
    monkeypatch.setattr("bridge.app.clock.now", lambda: (FIRST + 3600) * 1000)
    result = command("--rules", "rules.yml", *SERVER, *SPAN)
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0].startswith("--to is in the future: 2023-11-15T04:00:00.000Z")


def test_slots_that_could_not_be_evaluated_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, rule by rule."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yml").write_text(RULES.replace("drift > 0.8", "abs(drift) > 0.8"))

    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        message = json.dumps({"status": "error", "errorType": "bad_data", "error": "expected type instant vector"})
        url = "http://prometheus.test/api/v1/query_range"
        wrong = responses.matchers.query_param_matcher({"query": "abs(drift) > 0.8"}, strict_match=False)
        mocked.get(url, status=400, body=message, match=[wrong])  # once: then the next one that matches
        FakePrometheus(world).serve(mocked)
        result = CliRunner().invoke(app, ["backtest", "--rules", "rules.yml", *SERVER, *SPAN])
    assert result.exit_code == 0, result.output
    assert "Higher: 1 slot could not be evaluated; last error:" in result.output
    assert "expected type instant vector" in result.output
