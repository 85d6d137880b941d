"""Commands on a running bridge: listings, pauses, and names that it does not know. The bridge's data are fakes."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge import cli
from bridge.domain.model import ModelKey
from bridge.domain.request import RecoveryVerdict
from bridge.domain.times import rfc3339
from bridge.ports import RequestFilter
from tests.support.fake_views import AT, ID, model_view
from tests.support.web import Site, serving

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def site(server: Site) -> Site:
    server.queries.__init__()  # type: ignore[misc]  # as new
    server.commands.__init__()  # type: ignore[misc]
    return server


@pytest.fixture
def command(site: Site, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command; the bridge's URL comes from the environment."""
    monkeypatch.setenv("RETRAIN_BRIDGE_URL", site.url)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["retrain-bridge", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def columns(out: str) -> list[list[str]]:
    return [re.split(r" {2,}", line) for line in out.splitlines()]


# ---------------------------------------------------------------- listings


def test_models_are_listed_in_plain_columns(command: Command) -> None:
    """Each model on one line, with its latest values; `wide` adds columns."""
    code, out, err = command("models", "list")
    assert (code, err) == (0, "")
    assert columns(out) == [
        ["MODEL", "STATE", "LAST REQUEST", "VALUES"],
        ["shop/ranking/7", "retrain_requested", rfc3339(AT), "drift 0.702 (limit 0.6)"],
        ["shop/search/2", "healthy", "-", "drift 0.702 (limit 0.6)"],
    ]
    wide = columns(command("models", "list", "-o", "wide")[1])
    assert wide[0][-2:] == ["REQUEST", "RULES"]
    assert wide[1][-2:] == [ID, "Drifted: breached"]


def test_models_are_filtered(command: Command) -> None:
    """By project, pipeline, rule and state."""
    assert [row[0] for row in columns(command("models", "list", "--pipeline=search")[1])] == ["MODEL", "shop/search/2"]
    assert [row[0] for row in columns(command("models", "list", "--state=healthy")[1])] == ["MODEL", "shop/search/2"]
    assert len(columns(command("models", "list", "--rule=Drifted", "--project=shop")[1])) == 3
    assert command("models", "list", "--rule=Other") == (0, "no models\n", "")
    code, _, err = command("models", "list", "--state=ill")
    assert (code, "state" in err) == (1, True)


def test_json_has_everything(command: Command) -> None:
    """A list with the fields of the API."""
    found = json.loads(command("models", "list", "-o", "json")[1])
    assert [item["pipeline"] for item in found] == ["ranking", "search"]
    assert json.loads(command("rules", "list", "-o", "json")[1])[0]["group"] == "serving"
    assert json.loads(command("pause", "list", "-o", "json")[1]) == []


def test_rules_are_listed_with_what_helped(command: Command) -> None:
    """One line for each rule."""
    rows = columns(command("rules", "list", "--rule=Drifted")[1])
    assert rows[0] == ["RULE", "GROUP", "STATE", "HEALTH", "PENDING", "FIRING", "HELPED", "DID NOT HELP"]
    assert (rows[1][0], rows[1][-2:]) == ("Drifted", ["3", "1"])


def test_filters_of_requests_reach_the_store(command: Command, site: Site) -> None:
    """Each option is a parameter; a long reason is not cut."""
    long = "drift " + "x" * 300
    site.queries.records = [replace(item, request=replace(item.request, reason=long)) for item in site.queries.records]
    code, out, _ = command("requests", "list", "--project=shop", "--rule=Drifted", "--limit=5")
    assert (code, columns(out)[1]) == (0, [ID, "shop/ranking/7", "requested", rfc3339(AT), long])
    assert site.queries.asked[-1] == RequestFilter((), "shop", "", "", 6, "", "Drifted")


# ---------------------------------------------------------------- pauses


def test_a_pause_needs_its_scope(command: Command, site: Site) -> None:
    """Everything is paused only on purpose, and with a reason."""
    for words in (("pause",), ("pause", "--all"), ("pause", "--all", "--project=shop")):
        assert command(*words)[0] == 2
    assert site.commands.paused == []
    assert command("pause", "--all", "--note=move")[0] == 0
    assert command("pause", "--project=shop")[0] == 0
    assert [(item.project, item.note) for item in site.commands.paused] == [("", "move"), ("shop", "")]


def test_resume_reports_what_is_still_paused(command: Command, site: Site) -> None:
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


# ---------------------------------------------------------------- names


def test_an_unknown_model_gets_a_suggestion(command: Command, site: Site) -> None:
    """Exit code 1, for `explain` and `requests create`; `--force` creates the request anyway."""
    code, out, err = command("explain", "shop/rankng/7")
    assert (code, out) == (1, "")
    assert err.endswith("no signal has reported a model 'shop/rankng/7'; did you mean 'shop/ranking/7'?\n")
    words = ("requests", "create", "--project=shop", "--pipeline=rankng", "--version=7", "--reason=x", "--by=ada")
    code, _, err = command(*words)
    assert (code, err.endswith("did you mean 'shop/ranking/7'? (--force requests it anyway)\n")) == (1, True), err
    assert site.commands.acts == []
    assert command(*words, "--force")[0] == 0
    assert site.commands.acts == [("shop/rankng/7", "x", "ada")]


def test_an_unknown_rule_gets_a_suggestion(command: Command) -> None:
    """Exit code 1."""
    code, out, err = command("explain", "shop/ranking/7", "--rule=Drifed")
    assert (code, out) == (1, "")
    assert err.endswith("there is no rule 'Drifed'; did you mean 'Drifted'?\n")


def test_a_model_that_was_replaced_can_be_explained(command: Command, site: Site) -> None:
    """It is no longer listed, and has decisions."""
    site.queries.views = []
    assert command("explain", "shop/ranking/7")[0] == 0


def test_explain_takes_names_with_slashes(command: Command, site: Site) -> None:
    """As options; an instant may be relative."""
    model = ModelKey("team/shop", "ranking", "7")
    site.queries.views = [model_view(model)]
    options = ("--project=team/shop", "--pipeline=ranking", "--version=7")
    assert command("explain", *options, "--at=now-5m")[0] == 0
    asked = site.queries.asked[-1]
    assert isinstance(asked, tuple)
    assert asked[0] == model
    assert asked[2] > 0
    for words in (("explain",), ("explain", "a/b"), ("explain", "a/b/c", *options), ("explain", "a/b/c", "--at=soon")):
        assert command(*words)[0] == 2


# ---------------------------------------------------------------- help


@pytest.mark.parametrize("words", [("-h",), ("run", "-h"), ("requests", "list", "-h"), ("--version",)])
def test_help_and_version_have_their_usual_names(command: Command, words: tuple[str, ...]) -> None:
    """Types are written as people write them."""
    code, out, _ = command(*words)
    assert code == 0
    assert "<int>" not in out
    assert "<str>" not in out
    assert words != ("run", "-h") or "--storage.retention.time DURATION" in out


def test_a_shell_gets_its_completion(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script that completes commands."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code, out, _ = command("--show-completion", "bash")
    assert (code, "_RETRAIN_BRIDGE_COMPLETE" in out) == (0, True)


# ---------------------------------------------------------------- report


def test_the_report_counts_the_requests_of_a_period(command: Command, site: Site, tmp_path: Path) -> None:
    """As text with advice, as JSON, and as a page."""
    record = site.queries.records[0]
    now = int(time.time() * 1000)
    recent = replace(record, request=replace(record.request, triggered_at=now), verdict=RecoveryVerdict.RECOVERED)
    site.queries.records = [recent, record]  # the second is older than the period
    code, out, err = command("report", "--last=7d", f"--html={tmp_path / 'report.html'}")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("In the last 1w: 1 request, 1 sent; 1 retraining helped")
    assert lines[-1] == "Drifted: wait (outcomes of 1 retraining; advice needs 5)"
    assert ["Drifted", "1", "1", "1", "0", "0", "0", "0", "0"] in columns(out)
    assert "What retraining was worth" in (tmp_path / "report.html").read_text()
    assert json.loads(command("report", "-o", "json")[1])["total"]["helped"] == 1
