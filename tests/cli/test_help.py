"""Help texts of the command line."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from bridge.cli.commands import app


@pytest.mark.parametrize(
    "group", ["", "check", "config", "decisions", "models", "pause", "requests", "rules", "silence", "test"]
)
def test_every_command_is_listed_with_a_whole_sentence(group: str) -> None:
    """In the list of a terminal of 80 columns; set short_help where the first sentence is longer."""
    arguments = [*group.split(), "--help"]
    text = CliRunner().invoke(app, arguments, env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).output
    listed = text.partition("Commands:\n")[2].splitlines()
    assert listed
    assert [line for line in listed if line.endswith("...") or not line.endswith(".")] == []
