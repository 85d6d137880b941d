"""Command `deliveries discard`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.conftest import Command
from tests.support.fake_views import DELIVERY
from tests.support.web import Site

GONE = replace(DELIVERY, destination="old/webhook/0")


def test_discarding_needs_a_confirmation(command: Command, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--yes` is one; without an answer nothing is sent."""
    answers = iter([False, True])

    def confirm(question: str, *, abort: bool) -> None:
        assert question == "End 2 deliveries to destinations of receiver 'old' that are not configured any more?"
        if not next(answers):
            raise SystemExit(1)

    monkeypatch.setattr("typer.confirm", confirm)
    site.queries.waiting = [GONE, GONE, DELIVERY]
    assert command("deliveries", "discard", "--receiver=old")[0] == 1
    assert site.commands.acts == []
    for words in ((), ("--yes",)):
        code, out, _ = command("deliveries", "discard", "--receiver=old", "--by=ada", "--note=gone", *words)
        assert (code, out) == (0, "2 deliveries of 1 request discarded: old/webhook/0\n")
    assert site.commands.acts == [("discard old", "ada", "gone")] * 2


def test_the_count_of_a_full_listing_is_a_lower_bound(
    command: Command, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing has a limit; the deliveries beyond it are discarded, too."""
    asked: list[str] = []
    monkeypatch.setattr("bridge.cli.deliveries.MOST", 2)
    monkeypatch.setattr("typer.confirm", lambda question, **_: asked.append(question))
    for site.queries.waiting in ([GONE, DELIVERY], [DELIVERY, DELIVERY]):
        assert command("deliveries", "discard", "--receiver=old")[0] == 0
    assert [question.partition(" deliver")[0] for question in asked] == ["End at least 1", "End at least 0"]


def test_discarding_nothing_fails_and_names_who_has_such_deliveries(command: Command, site: Site) -> None:
    """The receiver is configured, mistyped, or its deliveries were discarded before."""
    start = "nothing discarded: no delivery waits for a destination of 'olld' that is not configured; "
    for yes in ([], ["--yes"]):
        site.queries.waiting = [GONE, DELIVERY]
        words = ("deliveries", "discard", "--receiver=olld", *yes)
        assert command(*words) == (1, "", f"{start}receivers with such deliveries: old\n")
        site.queries.waiting = [DELIVERY]
        assert command(*words) == (1, "", f"{start}no receiver has such deliveries\n")
    assert site.commands.acts == []
    assert command("deliveries", "discard", "--yes")[0] == 2
