"""Commands `pause`, `pause list` and `resume`."""

from __future__ import annotations

import pytest

from bridge.domain.times import rfc3339
from tests.cli.conftest import Command, columns
from tests.support.fake_views import AT
from tests.support.web import Site

pytestmark = pytest.mark.usefixtures("site")


def test_a_pause_of_everything_needs_all_and_a_note(command: Command, site: Site) -> None:
    """Everything is paused only on purpose, and with a reason."""
    for words in (("pause",), ("pause", "--all"), ("pause", "--all", "--project=shop")):
        assert command(*words)[0] == 2
    assert site.commands.paused == []
    assert command("pause", "--all", "--note=move")[0] == 0
    assert command("pause", "--project=shop")[0] == 0
    assert [(item.project, item.note) for item in site.commands.paused] == [("", "move"), ("shop", "")]


def test_resume_reports_the_remaining_pauses(command: Command, site: Site) -> None:
    """It fails if there is no such pause."""
    assert command("resume") == (1, "", "there is no pause of everything; nothing is paused\n")
    assert command("pause", "list") == (0, "no pauses\n", "")
    command("pause", "--project=shop", "--for=2h", "--by=ada")
    command("pause", "--project=shop", "--pipeline=ranking", "--by=ada")
    rows = columns(command("pause", "list")[1])
    assert [row[0] for row in rows] == ["SCOPE", "shop", "shop/ranking"]
    until = rfc3339(AT + 2 * 3_600_000)
    code, out, err = command("resume")
    assert (code, out) == (1, "")
    assert err.startswith(f"there is no pause of everything; still paused: shop until {until}, shop/ranking until ")
    code, out, _ = command("resume", "--project=shop", "--pipeline=ranking")
    assert (code, out) == (0, f"resumed: shop/ranking\nstill paused: shop until {until}\n")
