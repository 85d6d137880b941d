"""Command `init`: nothing is written over existing files, or without a rule. tests/integration runs it on a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.authoring.suggest import first_config
from bridge.authoring.suggest.first_config import FirstConfig
from bridge.authoring.suggest.suggest import Suggestion
from tests.cli.conftest import Command

FILES = {"bridge.yml": "# config\n", "rules/metrics.yml": "groups: []\n"}
SERVER = "--prometheus=http://127.0.0.1:1"


def proposing(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    """Let `init` find a configuration with these files."""
    found = FirstConfig(Suggestion(12), files, (), ("Prometheus names no Alertmanager",))
    monkeypatch.setattr(first_config, "first_config", lambda *_, **__: found)


def test_files_are_written_and_named(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the notes and the next commands."""
    proposing(monkeypatch, FILES)
    code, out, err = command("init", SERVER, f"--output={tmp_path / 'new'}")
    assert (code, err) == (0, "")
    assert {name: (tmp_path / "new" / name).read_text() for name in FILES} == FILES
    lines = out.splitlines()
    assert lines[0] == "note: Prometheus names no Alertmanager"
    assert lines[1] == f"written: {tmp_path / 'new' / 'bridge.yml'}, {tmp_path / 'new' / 'rules' / 'metrics.yml'}"
    assert lines[2].startswith("next: retrain-bridge check config --ask-prometheus ")


def test_an_existing_file_stops_all_writing(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that do not exist yet are not written either."""
    proposing(monkeypatch, FILES)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "metrics.yml").write_text("mine")
    code, out, err = command("init", SERVER, f"--output={tmp_path}")
    assert (code, out) == (1, "")
    assert err == f"not replaced: {tmp_path / 'rules' / 'metrics.yml'}; set --output to another folder\n"
    assert (tmp_path / "rules" / "metrics.yml").read_text() == "mine"
    assert not (tmp_path / "bridge.yml").exists()


def test_without_a_rule_nothing_is_written(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 and the number of metrics."""
    proposing(monkeypatch, {})
    code, _, err = command("init", SERVER, f"--output={tmp_path}")
    assert code == 1
    assert err == "http://127.0.0.1:1 has 12 metrics, and none of them looks like a signal of a model\n"
    assert list(tmp_path.iterdir()) == []
