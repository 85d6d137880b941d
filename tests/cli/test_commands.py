"""All commands together: help, completion, wrong usage."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from bridge.cli import commands
from tests.cli.conftest import Command


@pytest.mark.parametrize("words", [("nonsense",), ("run", "--nonsense"), ("run", "--storage.retention.time=soon")])
def test_wrong_usage_exits_2(command: Command, words: tuple[str, ...]) -> None:
    """This holds for every command."""
    assert command(*words)[0] == 2


def test_help_lists_every_command() -> None:
    """All commands are listed."""
    text = CliRunner().invoke(commands.app, ["--help"]).output
    for name in ("run", "check", "coordinator", "requests", "strategies", "send-test", "healthcheck", "version"):
        assert name in text


def test_shell_completion_is_printed(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script that completes commands."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code, out, _ = command("--show-completion", "bash")
    assert (code, "_RETRAIN_BRIDGE_COMPLETE" in out) == (0, True)
