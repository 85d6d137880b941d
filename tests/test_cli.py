"""Command line: output and exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bcrypt
import pytest
from typer.testing import CliRunner

from bridge import cli
from bridge.app import client
from bridge.cli import commands
from bridge.web.http.web_config import WebConfig
from tests.support.receiver import Receiver
from tests.support.web import serving

RULES = """
groups:
- name: serving
  rules:
  - {retrain: Drifted, expr: model_drift > 0.6}
"""
CONFIG = """
prometheus: {{url: http://localhost:9090}}
rule_files: [rules.yml]
route: {{receiver: team}}
receivers:
- name: team
  webhook_configs: [{{url: "{url}"}}]
"""


def run(*words: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of a command, run in this process."""
    monkeypatch.setattr(sys, "argv", ["retrain-bridge", *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capfd.readouterr()
    return int(caught.value.code or 0), out, err


@pytest.fixture
def command(capfd, monkeypatch):
    return lambda *words: run(*words, capfd=capfd, monkeypatch=monkeypatch)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "bridge.yml").write_text(CONFIG.format(url="http://localhost:9000"))
    return tmp_path


def test_version(command) -> None:
    """The output is one line."""
    assert command("version") == (0, "retrain-bridge 0.1.0\n", "")


def test_good_files_are_a_success(command, files: Path) -> None:
    """Exit code 0, and each file is named."""
    config, rules = files / "bridge.yml", files / "rules.yml"
    assert command("check", "config", str(config)) == (0, f"{config}: SUCCESS\n", "")
    assert command("check", "rules", str(rules)) == (0, f"{rules}: SUCCESS\n", "")


def test_wrong_files_are_reported_with_file_and_line(command, files: Path) -> None:
    """Exit code 1, with the number of problems."""
    rules = files / "rules.yml"
    rules.write_text(RULES.replace("retrain: Drifted, expr", "retrain: Drifted, exprs"))
    code, out, err = command("check", "rules", str(rules))
    assert (code, out) == (1, "")
    assert f"{rules}:5:24: groups[0].rules[0].exprs: unknown key 'exprs' (did you mean 'expr'?)" in err
    assert "found" in err


def test_run_says_what_is_wrong_with_the_configuration(command, files: Path) -> None:
    """No traceback is printed."""
    code, _, err = command("run", f"--config.file={files / 'nope.yml'}", f"--storage.path={files / 'data'}")
    assert code == 1
    assert "nope.yml: cannot be read: No such file or directory" in err


@pytest.mark.parametrize("words", [("nonsense",), ("run", "--nonsense"), ("run", "--storage.retention.time=soon")])
def test_wrong_usage_exits_2(command, words: tuple[str, ...]) -> None:
    """This holds for every command."""
    assert command(*words)[0] == 2


def test_strategies_are_listed_with_their_parameters(command) -> None:
    """Name, summary, parameters and columns."""
    code, out, _ = command("strategies")
    assert code == 0
    assert (
        "threshold\n    Strategy that is breached while a value is past its limit.\n    parameters: max, min, clear"
        in out
    )


def test_a_bridge_that_is_not_there_is_reported(command) -> None:
    """By every command that connects to a bridge."""
    for words in (("healthcheck",), ("requests", "list"), ("requests", "show", "x"), ("requests", "redrive", "x")):
        code, _, err = command(*words, "--bridge.url=http://127.0.0.1:1")
        assert code == 1
        assert "no bridge at http://127.0.0.1:1" in err


REQUEST = {
    "id": "a" * 32, "project": "shop", "pipeline": "ranking", "version": "7", "state": "held",
    "triggered_at": "2026-01-01T00:00:00.000Z", "reason": "[red]drift[/red]", "hold": None, "hold_until": None,
    "ended_at": None, "verdict": None,
}  # fmt: skip


@pytest.fixture
def api(monkeypatch):
    """Fake API: list of the calls, and the data to return."""
    asked: list[tuple[str, str]] = []
    answers: dict[str, object] = {}

    def call_api(access: client.Access, path: str, method: str = "GET", body: object = None) -> object:
        asked.append((method, path))
        return answers["data"]

    monkeypatch.setattr(client, "call_api", call_api)
    return asked, answers


def test_requests_are_listed_in_columns(command, api) -> None:
    """Markup in a reason is text; nothing is cut, and a listing without requests says so."""
    asked, answers = api
    answers["data"] = {"requests": [REQUEST]}
    _, out, _ = command("requests", "list", "--state=held", "--limit=5")
    assert asked == [("GET", "/api/v1/requests?limit=5&state=held")]
    assert out.splitlines()[1] == f"{'a' * 32}  shop/ranking/7  held   2026-01-01T00:00:00.000Z  [red]drift[/red]"
    answers["data"] = {"requests": []}
    assert command("requests", "list")[1] == "no requests\n"


def test_a_request_is_shown_as_json(command, api) -> None:
    """It can be piped into jq."""
    api[1]["data"] = REQUEST
    assert json.loads(command("requests", "show", "a" * 32)[1]) == REQUEST


def test_retrying_says_how_many(command, api) -> None:
    """The call goes to the retry endpoint."""
    asked, answers = api
    answers["data"] = {"retried": 1}
    assert command("requests", "retry", "x")[1] == "1 delivery retried\n"
    assert asked[-1] == ("POST", "/api/v1/requests/x/retry")


def test_redriving_says_how_many(command, api) -> None:
    """One destination, or all."""
    asked, answers = api
    answers["data"] = {"redriven": 1}
    assert command("requests", "redrive", "x")[1] == "1 delivery requeued\n"
    answers["data"] = {"redriven": 2}
    assert command("requests", "redrive", "x", "--destination=a/b/0")[1] == "2 deliveries requeued\n"
    assert asked[-1] == ("POST", "/api/v1/requests/x/redrive?destination=a%2Fb%2F0")


def test_feedback_is_sent_with_its_author(command, api) -> None:
    """An opinion that there is not is refused before anything is sent."""
    asked, answers = api
    answers["data"] = {"id": "x", "feedback": "false"}
    assert command("feedback", "x", "false", "--by=ada", "--note=a blip")[1] == "x: false\n"
    assert asked[-1] == ("POST", "/api/v1/requests/x/feedback")
    count = len(asked)
    assert command("feedback", "x", "superb")[0] == 2
    assert len(asked) == count


def test_send_test_says_what_each_destination_answered(command, files: Path) -> None:
    """A marked request bypasses the outbox; the exit code is 0 only if all destinations accept it."""
    with Receiver() as receiver:
        (files / "bridge.yml").write_text(CONFIG.format(url=receiver.url))
        code, out, _ = command("send-test", "--receiver=team", f"--config.file={files / 'bridge.yml'}")
        assert (code, out.split(" ")[:2]) == (0, ["team/webhook/0:", "delivered"])
    code, out, _ = command("send-test", "--receiver=team", f"--config.file={files / 'bridge.yml'}")
    assert (code, out.split(" ")[:2]) == (1, ["team/webhook/0:", "retry"])


def test_send_test_knows_the_receivers(command, files: Path) -> None:
    """A typo gets a suggestion."""
    code, _, err = command("send-test", "--receiver=taem", f"--config.file={files / 'bridge.yml'}")
    assert code == 1
    assert "has no receiver 'taem'; did you mean 'team'?" in err


def test_help_names_every_command() -> None:
    """All commands are listed."""
    text = CliRunner().invoke(commands.app, ["--help"]).output
    for name in ("run", "check", "coordinator", "requests", "strategies", "send-test", "healthcheck", "version"):
        assert name in text


def test_a_bridge_with_users_is_reached_with_an_http_config(command, tmp_path: Path) -> None:
    """The file has the format of amtool's and promtool's --http.config.file; its paths are relative to it."""
    file = tmp_path / "http.yml"
    file.write_text("basic_auth: {username: ada, password_file: password}\n")
    (tmp_path / "password").write_text("lovelace\n")
    users = WebConfig(basic_auth_users={"ada": bcrypt.hashpw(b"lovelace", bcrypt.gensalt(4)).decode()})
    with serving(config=users) as site:
        there = f"--bridge.url=http://127.0.0.1:{site.port}"
        assert command("healthcheck", there)[0] == 1
        assert command("healthcheck", there, f"--http.config.file={file}")[0] == 0
        assert command("requests", "list", there, f"--http.config.file={file}")[0] == 0
    file.write_text("basic_auth: {usrname: ada}\n")
    code, _, err = command("healthcheck", f"--http.config.file={file}")
    assert (code, "http.yml:1" in err, "did you mean 'username'?" in err) == (1, True, True), err


def test_check_asks_prometheus_only_with_its_flag(command, files: Path) -> None:
    """Then an unavailable server is a problem, after those of the files."""
    config = files / "bridge.yml"
    config.write_text(CONFIG.format(url="http://localhost:1/hook").replace("localhost:9090", "127.0.0.1:1"))
    assert command("check", "config", str(config))[0] == 0
    code, _, err = command("check", "config", "--ask-prometheus", str(config))
    assert (code, "prometheus.url: http://127.0.0.1:1: Connection refused" in err) == (1, True), err


def test_a_file_with_the_databases_url_that_is_not_there_is_named(command, files: Path) -> None:
    """The error names the flag."""
    config = files / "bridge.yml"
    config.write_text(CONFIG.format(url="http://localhost:1/hook"))
    code, _, err = command("run", f"--config.file={config}", "--storage.url-file=none.url")
    assert (code, err) == (1, "retrain-bridge: cannot read --storage.url-file none.url: No such file or directory\n")


def test_doubts_are_warnings_unless_they_are_fatal(command, tmp_path: Path) -> None:
    """Exit code 0 with warnings, 1 if they are fatal; none is printed on request."""
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n- name: g\n  interval: 5m\n  rules:\n  - {retrain: A, expr: up == 0, for: 1m}\n")
    code, out, err = command("check", "rules", str(file))
    assert (code, out) == (0, f"{file}: SUCCESS\n")
    assert err.endswith("[shorter-than-interval]\n1 warning found\n")
    assert command("check", "rules", str(file), "--lint=none") == (0, f"{file}: SUCCESS\n", "")
    code, out, err = command("check", "rules", str(file), "--lint=fatal")
    assert (code, out) == (1, "")


def test_an_error_in_one_configuration_hides_no_doubt_of_another(command, files: Path) -> None:
    """Each file is checked as far as possible."""
    (files / "rules.yml").write_text(RULES.replace("}\n", ", for: 1s}\n"))
    wrong = files / "wrong.yml"
    wrong.write_text("{}")
    code, out, err = command("check", "config", str(wrong), str(files / "bridge.yml"))
    assert (code, out) == (1, "")
    assert "[shorter-than-interval]" in err
    assert err.endswith("problems and 1 warning found\n")


def test_problems_are_reported_to_machines(command, tmp_path: Path) -> None:
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


def test_schemas_are_printed(command) -> None:
    """One for each kind of file."""
    for kind in ("config", "rules", "tests"):
        code, out, _ = command("check", "schema", kind)
        assert (code, json.loads(out)["$schema"]) == (0, "https://json-schema.org/draft/2020-12/schema")


def test_nothing_is_kept_for_no_time(command, files: Path) -> None:
    """A retention of 0 would delete every request at once. The message is in a box, wrapped at the terminal width."""
    code, _, err = command("run", f"--config.file={files / 'bridge.yml'}", "--storage.retention.time=0s")
    assert code == 2
    assert "must be greater than 0, for example 90d" in " ".join(err.replace("│", " ").split())


@pytest.mark.parametrize("url", ["127.0.0.1:9095", "ftp://127.0.0.1"])
def test_where_the_bridge_is_is_a_url(command, url: str) -> None:
    """The message is plain, without library terms."""
    code, _, err = command("healthcheck", f"--bridge.url={url}")
    assert (code, err) == (
        1, f"retrain-bridge: {url!r} must be an http or https URL, for example http://127.0.0.1:9095\n",
    )  # fmt: skip


def test_problems_are_annotations_of_a_pull_request(command, tmp_path: Path) -> None:
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
