"""Page of silences and pauses, and the actions on pauses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import StoreFullError
from bridge.domain.matchers import Matcher
from bridge.domain.silence import Silence
from bridge.domain.times import HOUR
from bridge.engine.api.silence_views import SilencesView, SilenceView
from bridge.ports import Pause
from tests.support.fake_views import AT, ID, REQUEST
from tests.support.web_app import Site

HOSTILE = "<script>alert(1)</script>\"'&"
SILENCE = Silence("s1", (Matcher("project", "=", HOSTILE),), AT, AT + HOUR, HOSTILE, HOSTILE)
VIEW = SilencesView([SilenceView(SILENCE, [REQUEST])], 1, AT, fresh=True, holds_unknown=False, failing={})
SILENT = {"http://am:9093": "http_5xx"}


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_silence_is_shown_with_what_it_holds(site: Site) -> None:
    """Its texts are data."""
    site.queries.silenced = VIEW
    page = site.http.get("/silences").text
    assert f'href="/requests/{ID}"' in page
    assert "2023-11-14 23:13:20" in page
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3


def test_an_unclear_silence_has_a_reason(site: Site) -> None:
    """It holds every request it might match."""
    odd = replace(SILENCE, matchers=(), unclear=f"{HOSTILE}: not a regular expression")
    site.queries.silenced = replace(VIEW, silences=[SilenceView(odd, [REQUEST])])
    page = site.http.get("/silences").text
    assert "Cannot be parsed, so it holds every request it might match" in page
    assert "<script>alert" not in page
    assert "not a regular expression" in page


def test_no_alertmanager_no_silence_and_no_answer_are_three_things(site: Site) -> None:
    """Each has its own message."""
    assert "No receiver in the configuration is an Alertmanager" in site.http.get("/silences").text
    site.queries.silenced = replace(VIEW, silences=[], total=0)
    assert "No active silences" in site.http.get("/silences").text
    site.queries.silenced = replace(VIEW, silences=[], total=0, fetched_at=0, fresh=False, failing=SILENT)
    page = site.http.get("/silences").text
    assert "http://am:9093" in page
    assert "http 5xx" in page
    assert "No silences have been read yet. Until then, no silence holds a request." in page
    assert "No active silences" not in page


def test_an_outdated_list_is_marked(site: Site) -> None:
    """It also says what happens to requests until then."""
    site.queries.silenced = replace(VIEW, fresh=False, holds_unknown=True)
    page = site.http.get("/silences").text
    assert "and ignored. Requests are held until the silences can be read again." in page


def test_many_silences_are_paged_by_the_server(site: Site) -> None:
    """The page reads one page, not all."""
    site.queries.silenced = replace(VIEW, total=120)
    page = site.http.get("/silences?page=2").text
    assert ("silences", 50, 50) in site.queries.asked
    assert 'href="/silences?page=3"' in page
    assert "Page 2 of 3" in page


def test_a_pause_is_made_and_ended_on_the_page(site: Site) -> None:
    """With user, duration and note."""
    assert "Nothing is paused" in site.http.get("/silences").text
    asked = {"project": "shop", "pipeline": "", "duration": "2h", "by": "kim", "note": "release"}
    answer = site.http.post("/pause", data=asked, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/silences?result=pause")
    assert site.commands.paused == [Pause("shop", "", AT + 2 * HOUR, "kim", AT, "release")]
    page = site.http.get("/silences?result=pause").text
    assert "Requests are paused." in page
    assert "every pipeline of shop" in page
    assert 'href="/resume?project=shop&amp;pipeline="' in page
    assert 'name="project" value="shop"' in site.http.get("/resume?project=shop&pipeline=").text
    ended = site.http.post("/resume", data={"project": "shop", "pipeline": "", "by": ""}, follow_redirects=False)
    assert ended.headers["location"] == "/silences?result=resume"
    assert site.commands.paused[-1].until == AT


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"duration": "soon"}, "duration"),
        ({"duration": ""}, "duration"),
        ({"duration": "0s"}, "greater than 0"),
        ({"duration": "31d"}, "at most 30d"),
        ({"duration": "1h", "pipeline": "ranking"}, "a pipeline needs its project"),
    ],
)
def test_a_pause_that_cannot_be_is_refused_and_what_was_typed_stays(
    site: Site, asked: dict[str, str], said: str
) -> None:
    """Nothing is paused."""
    page = site.http.post("/pause", data={"note": "keep me", **asked})
    assert page.status_code == 400
    assert said in page.text
    assert "keep me" in page.text
    assert site.commands.paused == []


def test_a_pause_of_everything_is_chosen_and_has_a_note(site: Site) -> None:
    """One click on the empty form pauses nothing; the choice stays in a form that is refused."""
    everything = {"duration": "1h", "everything": "yes"}
    for asked, said in (
        ({"duration": "1h", "note": "move"}, "either name a project, or choose all pipelines"),
        ({**everything, "project": "shop", "note": "move"}, "either name a project, or choose all pipelines"),
        (everything, "note: a pause of all pipelines needs one"),
    ):
        page = site.http.post("/pause", data={"project": "", "pipeline": "", **asked})
        assert (page.status_code, said in page.text) == (400, True), asked
        assert ('value="yes" checked' in page.text) == ("everything" in asked)
    assert site.commands.paused == []
    assert site.http.post("/pause", data={**everything, "note": "move"}, follow_redirects=False).status_code == 303
    assert [(item.project, item.note) for item in site.commands.paused] == [("", "move")]


def test_a_pause_that_cannot_be_written_is_not_shown_as_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the store is shown."""

    def broken(*_: object) -> None:
        raise StoreFullError("disk is full")

    monkeypatch.setattr(site.commands, "pause", broken)
    page = site.http.post("/pause", data={"project": "shop", "duration": "1h"})
    assert page.status_code == 503
    assert "disk is full" in page.text


@pytest.mark.parametrize("path", ["/pause", "/resume"])
def test_looking_changes_nothing_and_a_foreign_page_neither(site: Site, path: str) -> None:
    """GET asks for confirmation; a form of another origin is refused."""
    assert site.http.get(path).status_code == 200
    refused = site.http.post(path, data={"duration": "1h"}, headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    assert site.commands.paused == []
