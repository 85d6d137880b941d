"""Creation of silences by the API."""

from __future__ import annotations

from bridge.domain.times import HOUR, rfc3339
from bridge.ports.silencing import NewSilence
from bridge.web.upstream import Upstream
from tests.support.fake_views import AT
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
