"""Shared options: durations, help, printing of problems."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from bridge.cli import options
from bridge.domain.errors import Problem
from tests.cli.conftest import Command


@pytest.mark.parametrize("words", [("-h",), ("run", "-h"), ("requests", "list", "-h"), ("--version",)])
def test_help_and_version_have_short_options(command: Command, words: tuple[str, ...]) -> None:
    """Types are written as people write them."""
    code, out, _ = command(*words)
    assert code == 0
    assert "<int>" not in out
    assert "<str>" not in out
    assert words != ("run", "-h") or "--storage.retention.time DURATION" in out


@pytest.mark.parametrize(("text", "length"), [("90d", 90 * 86_400_000), ("1h30m", 5_400_000), ("0s", 0)])
def test_durations_are_milliseconds(text: str, length: int) -> None:
    assert options.duration(text) == length


@pytest.mark.parametrize("text", ["0s", "soon", "-1h", ""])
def test_a_positive_duration_rejects_other_texts(text: str) -> None:
    """With the error of typer, which exits with 2."""
    with pytest.raises(typer.BadParameter):
        options.positive_duration(text)


def test_problems_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """No line without a problem."""
    options.print_problems([])
    assert capsys.readouterr().err == ""
    problem = Problem("bridge.yml", 3, "route", "unknown key", column=1)
    options.print_problems([problem])
    assert capsys.readouterr().err == f"{problem}\n1 problem found\n"
    options.print_problems([problem, problem])
    assert capsys.readouterr().err.endswith("2 problems found\n")


WRITERS = [
    ["backtest", "--rules=rules.yml", "--prometheus.url=http://127.0.0.1:1", "--from=now-1h", "--html"],
    ["backtest", "--rules=rules.yml", "--prometheus.url=http://127.0.0.1:1", "--from=now-1h", "--json"],
    ["backtest", "--rules=rules.yml", "--prometheus.url=http://127.0.0.1:1", "--from=now-1h", "--decisions"],
    ["tune", "Drifted", "--rules=rules.yml", "--prometheus.url=http://127.0.0.1:1", "--from=now-1h", "--html"],
    ["tune", "Drifted", "--rules=rules.yml", "--prometheus.url=http://127.0.0.1:1", "--from=now-1h", "--json"],
    ["report", "--bridge.url=http://127.0.0.1:1", "--html"],
    ["test", "rules", "tests.yml", "--junit"],
]


@pytest.mark.parametrize("words", WRITERS)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    command: Command, files: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """Which may take hours; nothing answers here, and nothing is left behind."""
    monkeypatch.chdir(files)
    (files / "folder").mkdir()
    before = sorted(files.iterdir())
    for name, text in (("folder", "folder is a folder"), ("nowhere/x", "there is no folder nowhere")):
        code, _, err = command(*words, name)
        assert (code, f"{words[-1]}: " in err, text in err) == (2, True, True), err
    assert sorted(files.iterdir()) == before
