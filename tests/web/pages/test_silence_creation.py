"""Silences that are created on the page."""

from __future__ import annotations

from bridge.ports.silencing import NewSilence, SilencingError, UnknownSilenceError
from bridge.web.http.settings import WebSettings
from bridge.web.upstream import Upstream
from tests.support.fake_views import AT
from tests.support.web_app import Site

FORM = {"project": "shop", "pipeline": "ranking", "version": "", "duration": "1h", "by": "kim", "note": "release"}


class FakeSilencer:
    """Alertmanagers that remember what was created, or refuse."""

    def __init__(self, *addresses: str, error: str = "") -> None:
        self.known = addresses
        self.error = error
        self.created: list[tuple[str, NewSilence]] = []
        self.expired: list[str] = []

    def addresses(self) -> tuple[str, ...]:
        return self.known

    def create(self, address: str, silence: NewSilence) -> str:
        if self.error:
            raise SilencingError(self.error)
        self.created.append((address, silence))
        return "id"

    def expire(self, silence_id: str) -> None:
        if self.error:
            raise (UnknownSilenceError if "has no silence" in self.error else SilencingError)(self.error)
        self.expired.append(silence_id)


def test_a_silence_is_created_for_the_labels_that_are_given() -> None:
    """The page says that it was."""
    silencer = FakeSilencer("http://am")
    site = Site(upstream=Upstream(silencer=silencer))
    page = site.http.get("/silences/new", params={"project": "shop", "pipeline": "ranking"}).text
    assert 'value="ranking"' in page
    assert "<select" not in page
    answer = site.http.post("/silences/new", data=FORM, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/silences?result=silence")
    labels = {"project": "shop", "pipeline": "ranking"}
    assert silencer.created == [("http://am", NewSilence(labels, AT, AT + 3_600_000, "kim", "release"))]
    assert "The silence was created." in site.http.get("/silences?result=silence").text


def test_what_alertmanager_would_refuse_is_refused_first() -> None:
    """And what it does refuse is said; what was typed stays."""
    site = Site(
        upstream=Upstream(silencer=FakeSilencer("http://a", "http://b", error="http://a answered HTTP 400: no"))
    )
    for change, text in (
        ({"project": "", "pipeline": ""}, "a silence needs at least one"),
        ({"note": ""}, "Alertmanager requires one"),
        ({"duration": "soon"}, "is not a duration"),
        ({"duration": "0s"}, "must be greater than 0"),
    ):
        answer = site.http.post("/silences/new", data={**FORM, **change})
        assert answer.status_code == 400
        assert text in answer.text
    answer = site.http.post("/silences/new", data={**FORM, "address": "http://b"})
    assert answer.status_code == 502
    assert "http://a answered HTTP 400: no" in answer.text
    assert "<option selected>http://b</option>" in answer.text
    assert "release</textarea>" in answer.text


def test_without_an_alertmanager_a_pause_is_offered() -> None:
    """No form, and no button that leads to it."""
    site = Site()
    assert "no silence can be created" in site.http.get("/silences/new").text
    assert site.http.post("/silences/new", data=FORM).status_code == 409
    assert "/silences/new" not in site.http.get("/silences").text


def test_a_server_that_refuses_changes_offers_none() -> None:
    """It listens on the network and nobody can sign in; every page says why."""
    site = Site(WebSettings(listen=":9095"), upstream=Upstream(silencer=FakeSilencer("http://am")))
    headers = {"Host": "localhost"}
    for path in ("/", "/silences", "/requests", "/model?project=shop&pipeline=ranking&version=7"):
        page = site.http.get(path, headers=headers).text
        assert "read-only: changes are refused" in page, path
        assert 'class="button"' not in page, path
    assert '<button class="strong" disabled>' in site.http.get("/pause", headers=headers).text


def test_a_silence_is_ended_after_a_confirmation() -> None:
    """GET ends nothing; a refusal is shown."""
    silencer = FakeSilencer("http://am")
    site = Site(upstream=Upstream(silencer=silencer))
    assert "silence <code>abc</code>" in site.http.get("/silences/abc/expire").text
    assert silencer.expired == []
    answer = site.http.post("/silences/abc/expire", data={"by": "kim"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/silences?result=expire")
    assert silencer.expired == ["abc"]
    assert "The silence has ended." in site.http.get("/silences?result=expire").text
    silencer.error = "http://am answered HTTP 500: already expired"
    answer = site.http.post("/silences/abc/expire", data={"by": "kim"})
    assert (answer.status_code, "already expired" in answer.text) == (502, True)
    silencer.error = "http://am has no silence 'abc'"
    answer = site.http.post("/silences/abc/expire", data={"by": "kim"})
    assert (answer.status_code, "http://am has no silence" in answer.text) == (404, True)
