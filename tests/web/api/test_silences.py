"""Silences by the API."""

from __future__ import annotations

from bridge.domain.matchers import Matcher
from bridge.domain.silence import Silence
from bridge.domain.times import HOUR, rfc3339
from bridge.engine.api.silence_views import SilencesView, SilenceView
from bridge.ports.silencing import NewSilence
from bridge.web.upstream import Upstream
from tests.support.fake_views import AT, ID, REQUEST
from tests.support.web_app import Site
from tests.web.pages.test_silence_creation import FakeSilencer

BODY = {"project": "shop", "pipeline": "ranking", "duration": "2h", "by": "kim", "note": "release"}


def test_a_silence_is_created_in_the_first_alertmanager_or_the_named_one() -> None:
    """The answer has its id and its end."""
    silencer = FakeSilencer("http://a", "http://b")
    site = Site(upstream=Upstream(silencer=silencer))
    answer = site.http.post("/api/v1/silences", json=BODY)
    assert answer.json()["data"] == {"id": "id", "until": rfc3339(AT + 2 * HOUR)}
    site.http.post("/api/v1/silences", json={**BODY, "address": "http://b"})
    silence = NewSilence({"project": "shop", "pipeline": "ranking"}, AT, AT + 2 * HOUR, "kim", "release")
    assert silencer.created == [("http://a", silence), ("http://b", silence)]


def test_what_cannot_be_created_is_refused_with_the_reason() -> None:
    """No Alertmanager, an unknown one, wrong fields, and its own refusal."""
    answer = Site().http.post("/api/v1/silences", json=BODY)
    assert (answer.status_code, answer.json()["detail"].partition(";")[0]) == (409, "no receiver is an Alertmanager")
    site = Site(upstream=Upstream(silencer=FakeSilencer("http://a", error="http://a answered HTTP 400: no")))
    for change, status, text in (
        ({"address": "http://x"}, 400, "must be one of http://a"), ({"duration": "soon"}, 400, "is not a duration"),
        ({"project": "", "pipeline": ""}, 400, "at least one"), ({"note": ""}, 400, "Alertmanager requires one"),
        ({"duration": "0s"}, 400, "greater than 0"), ({"pipline": "x"}, 400, "pipline"), ({}, 503, "HTTP 400: no"),
    ):  # fmt: skip
        answer = site.http.post("/api/v1/silences", json={**BODY, **change})
        assert answer.status_code == status, answer.text
        assert text in answer.text


def test_silences_in_force_are_listed_with_the_requests_that_they_hold() -> None:
    """Empty without an Alertmanager."""
    site = Site()
    assert site.data("/api/v1/silences") == {"silences": [], "total": 0}
    silence = Silence("abc", (Matcher("project", "=", "shop"),), AT, AT + HOUR, "kim", "release")
    site.queries.silenced = SilencesView([SilenceView(silence, [REQUEST])], 3, AT, True, False, {})
    assert site.data("/api/v1/silences?limit=1&offset=1") == {
        "silences": [
            {
                "id": "abc", "matchers": ['project="shop"'], "ends_at": rfc3339(AT + HOUR), "created_by": "kim",
                "comment": "release", "unclear": None, "requests": [ID],
            }
        ],
        "total": 3,
    }  # fmt: skip
    assert site.queries.asked[-1] == ("silences", 1, 1)


def test_a_silence_is_ended() -> None:
    """Why it was not is said."""
    for nobody in (Upstream(), Upstream(silencer=FakeSilencer())):
        assert Site(upstream=nobody).http.post("/api/v1/silences/abc/expire").status_code == 409
    silencer = FakeSilencer("http://a")
    site = Site(upstream=Upstream(silencer=silencer))
    assert site.http.post("/api/v1/silences/abc/expire").json()["data"] == {"id": "abc"}
    assert silencer.expired == ["abc"]
    silencer.error = "http://a answered HTTP 404: "
    answer = site.http.post("/api/v1/silences/abc/expire")
    assert (answer.status_code, "HTTP 404" in answer.text) == (503, True)
    silencer.error = "http://a has no silence 'abc'"
    answer = site.http.post("/api/v1/silences/abc/expire")
    assert (answer.status_code, answer.json()["detail"]) == (404, silencer.error)
    assert answer.json()["errorType"] == "not_found"
