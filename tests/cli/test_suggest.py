"""Command `rules suggest`: choice of the server, output of rules. tests/integration runs it on a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from bridge.authoring.suggest import suggest
from bridge.authoring.suggest.suggest import Suggestion
from bridge.cli.suggest import source_at
from bridge.domain.errors import ConfigError
from tests.cli.conftest import CONFIG, Command

SERVER = "--prometheus=http://127.0.0.1:1"


def suggesting(monkeypatch: pytest.MonkeyPatch, rules: str) -> None:
    found = Suggestion(12, rules=rules, notes=("a note",))
    monkeypatch.setattr(suggest, "suggest", lambda *_, **__: found)


def test_rules_go_to_standard_output_alone(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """They can be piped into a file; the rest goes to standard error."""
    suggesting(monkeypatch, "groups: []\n")
    code, out, err = command("rules", "suggest", SERVER)
    assert (code, out) == (0, "groups: []\n")
    assert "no rule pack fits: http://" in err
    assert "note: a note" in err


def test_rules_are_written_to_a_file(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rules, no file is written, and the exit code is 1."""
    file = tmp_path / "rules.yml"
    suggesting(monkeypatch, "")
    assert command("rules", "suggest", SERVER, f"--output={file}")[0] == 1
    assert not file.exists()
    suggesting(monkeypatch, "groups: []\n")
    code, out, _ = command("rules", "suggest", SERVER, f"--output={file}")
    assert (code, file.read_text(), f"pack: {file}" in out or f"packs: {file}" in out) == (0, "groups: []\n", True), out


def test_json_names_the_server_and_the_rules(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    suggesting(monkeypatch, "groups: []\n")
    found = json.loads(command("rules", "suggest", SERVER, "--json")[1])
    assert (found["prometheus"], found["rules"]) == ("http://127.0.0.1:1", "groups: []\n")


def test_the_server_is_given_once(tmp_path: Path) -> None:
    """As a URL or as a configuration, whose timeout and labels count."""
    for url, config in (("", None), ("http://127.0.0.1:1", tmp_path / "bridge.yml")):
        with pytest.raises(typer.BadParameter, match="either --prometheus or"):
            source_at(url, config, None)
    (tmp_path / "rules.yml").write_text("groups: []\n")
    (tmp_path / "bridge.yml").write_text(CONFIG.format(url="http://localhost:1"))
    source, models, server = source_at("", tmp_path / "bridge.yml", None)
    source.close()
    assert (server, models.pipeline.label) == ("http://localhost:9090", "pipeline")


@pytest.mark.parametrize(("url", "text"), [("nonsense", "http or https URL"), ("http://ada:secret@x", "basic_auth")])
def test_errors_of_the_url_name_its_flag(url: str, text: str) -> None:
    """And never show a password."""
    with pytest.raises(ConfigError) as caught:
        source_at(url, None, None)
    (problem,) = caught.value.problems
    assert (str(problem).startswith("--prometheus: must "), text in problem.message) == (True, True)
    assert "secret" not in problem.message
