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
    for words in (("pause",), ("pause", "--all"), ("pause", "--all", "--project=shop"), ("pause", "--all", "shop")):
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


def test_a_pipeline_is_named_as_elsewhere(command: Command, site: Site) -> None:
    """As an argument, before or after the options; `list` is the command, whose name a project can still have."""
    assert command("pause", "shop/ranking", "--for=2h", "--by=ada")[:2] == (
        0, f"paused until {rfc3339(AT + 2 * 3_600_000)}: shop/ranking\n",
    )  # fmt: skip
    assert command("pause", "--by=ada", "shop")[0] == 0
    site.queries.records = []
    note = "no signal has reported it yet: this applies once one does\n"
    assert command("pause", "--project=list", "--force", "--by=ada")[1].endswith(f": list\n{note}")
    assert [item.project for item in site.commands.paused] == ["shop", "shop", "list"]
    rows = columns(command("pause", "list", "-o", "wide")[1])
    assert [row[0] for row in rows] == ["SCOPE", "shop/ranking", "shop", "list"]
    assert command("pause", "shop/ranking/7")[0] == 2
    code, out, _ = command("resume", "shop/ranking")
    assert (code, out.splitlines()[0]) == (0, "resumed: shop/ranking")


@pytest.mark.parametrize(("length", "said"), [("0s", "greater than 0"), ("soon", "soon"), ("31d", "at most 30d")])
def test_a_length_that_cannot_be_is_refused_with_its_option(
    command: Command, site: Site, length: str, said: str
) -> None:
    """Before the bridge is called; a pause of no length would end one."""
    for words in (("pause", "--all", "--note=x"), ("silence", "shop")):
        code, _, err = command(*words, f"--for={length}")
        assert (code, "'--for'" in err, said in err, "http://" in err) == (2, True, True, False), err
    assert site.commands.paused == []
