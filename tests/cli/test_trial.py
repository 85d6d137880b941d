"""Command `try`: its output folder, and a Prometheus without models. tests/integration runs it on a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.authoring.suggest import first_config
from bridge.authoring.suggest.candidates import Candidate
from bridge.authoring.suggest.first_config import FirstConfig
from bridge.authoring.suggest.suggest import Suggestion
from tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def nothing_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the Prometheus have no metric of a model."""
    monkeypatch.setattr(first_config, "first_config", lambda *_, **__: FirstConfig(Suggestion(12), {}))


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_existing_output_is_not_replaced(command: Command, tmp_path: Path, kind: str) -> None:
    """Neither a file nor a folder with files; Prometheus is not queried first."""
    output = tmp_path / "there"
    (output if kind == "file" else tmp_path / "there" / "x").parent.mkdir(exist_ok=True)
    (output if kind == "file" else output / "x").write_text("mine")
    code, _, err = command("try", "--prometheus=http://127.0.0.1:1", f"--output={output}")
    assert code == 2
    assert "set --output to a new folder" in " ".join(err.replace("│", " ").split())


def test_an_empty_folder_may_be_the_output(command: Command, tmp_path: Path) -> None:
    """A Prometheus without signals of models is reported, and nothing is written."""
    code, out, err = command("try", "--prometheus=http://127.0.0.1:1", f"--output={tmp_path}")
    assert (code, out) == (1, "")
    assert "has 12 metrics, and none of them looks like a signal of a model" in err
    assert list(tmp_path.iterdir()) == []


def test_signals_without_a_present_value_are_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models stopped reporting; another end of the period finds them."""
    suggestion = Suggestion(4, candidates=(Candidate("model_drift_score", "drift", "x", labelled=True),))
    monkeypatch.setattr(first_config, "first_config", lambda *_, **__: FirstConfig(suggestion, {}))
    options = ("--until=2026-01-01T00:00:00Z", f"--output={tmp_path}")
    code, out, err = command("try", "--prometheus=http://127.0.0.1:1", *options)
    assert (code, out) == (1, "")
    assert "(model_drift_score), but no value at 2026-01-01T00:00:00.000Z" in err
    assert "set --until" in err
    assert command("try", "--prometheus=http://127.0.0.1:1", "--until=soon", f"--output={tmp_path}")[0] == 2


def test_a_trial_of_no_time_is_rejected(command: Command) -> None:
    assert command("try", "--prometheus=http://127.0.0.1:1", "--last=0s")[0] == 2
