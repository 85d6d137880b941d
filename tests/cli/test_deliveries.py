"""Command `deliveries discard`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command
from tests.support.web import Site


def test_discarding_needs_a_confirmation(command: Command, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--yes` is one; without an answer nothing is sent."""
    answers = iter([False, True])

    def confirm(question: str, *, abort: bool) -> None:
        assert "receiver 'old'" in question
        if not next(answers):
            raise SystemExit(1)

    monkeypatch.setattr("typer.confirm", confirm)
    assert command("deliveries", "discard", "--receiver=old")[0] == 1
    assert site.commands.acts == []
    for words in ((), ("--yes",)):
        code, out, _ = command("deliveries", "discard", "--receiver=old", "--by=ada", "--note=gone", *words)
        assert (code, out) == (0, "2 deliveries of 1 request discarded: old/webhook/0\n")
    assert site.commands.acts == [("discard old", "ada", "gone")] * 2


def test_discarding_again_changes_nothing(command: Command, site: Site) -> None:
    """The receiver is configured, unknown, or was discarded before."""
    code, out, _ = command("deliveries", "discard", "--receiver=team", "--yes")
    assert (code, out) == (
        0, "nothing discarded: no delivery waits for a destination of 'team' that is not configured\n"
    )  # fmt: skip
    assert command("deliveries", "discard", "--yes")[0] == 2
