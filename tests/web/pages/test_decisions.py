"""Pages of decisions."""

from __future__ import annotations

import pytest
from msgspec import structs

from bridge.domain.errors import RequestError, SourceError, StoreFullError
from bridge.domain.model import ModelKey
from bridge.domain.request import Outcome
from bridge.ports import DecisionFilter
from tests.support.fake_views import AT, DECISION, ID, MODEL
from tests.support.web_app import Site

HOSTILE = "<script>alert(1)</script>\"'&"
MODEL_QUERY = "project=shop&pipeline=ranking&version=7"


@pytest.fixture
def site() -> Site:
    found = Site()
    found.queries.told = [structs.replace(DECISION, id=9)]
    return found


def test_decisions_are_filtered_by_the_server(site: Site) -> None:
    """By model, rule and outcome; the form keeps the selection."""
    page = site.http.get(f"/decisions?{MODEL_QUERY}&rule=Drifted&outcome=requested").text
    assert site.queries.asked == [DecisionFilter(MODEL, "Drifted", (Outcome.REQUESTED,), limit=51)]
    assert 'href="/decisions/9"' in page
    assert 'value="Drifted"' in page
    assert '<option value="requested" selected>' in page
    assert "No matching decisions" in site.http.get("/decisions?rule=Other").text


def test_half_a_model_is_reported_as_half(site: Site) -> None:
    """It does not match any model."""
    page = site.http.get("/decisions?project=shop").text
    assert "Filter by project, pipeline and version together" in page
    assert "/decisions/9" not in page


def test_a_list_continues_where_it_ended(site: Site) -> None:
    """It also links back to the newest."""
    site.queries.told = [structs.replace(DECISION, id=number) for number in range(100, 0, -1)]
    page = site.http.get("/decisions?rule=Drifted").text
    assert 'href="/decisions?rule=Drifted&amp;before=51"' in page
    second = site.http.get("/decisions?rule=Drifted&before=51").text
    assert 'href="/decisions/50"' in second
    assert 'href="/decisions/51"' not in second
    assert 'href="/decisions?rule=Drifted">Newest' in second
    assert ">Older<" not in second


def test_an_empty_list_has_a_hint(site: Site) -> None:
    """A store that cannot be read is not an empty list."""
    site.queries.told = []
    assert "No decisions yet" in site.http.get("/decisions").text


def test_a_store_that_cannot_be_read_is_reported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """This holds for every page of decisions."""

    def broken(_: object) -> None:
        raise StoreFullError("disk is full")

    monkeypatch.setattr(site.queries, "decisions", broken)
    page = site.http.get("/decisions").text
    assert "disk is full" in page
    assert "No decisions yet" not in page
    for path in ("/decisions/9", f"/decision?rule=Drifted&slot={AT}"):
        assert site.http.get(path).status_code == 503


def test_a_decision_is_explained_by_what_was_kept(site: Site) -> None:
    """Numbers, states, and the query with a command to repeat it, without querying Prometheus."""
    earlier = structs.replace(DECISION, id=5, slot=AT - 60_000, outcome=Outcome.NONE, reason="over the limit, waits")
    site.queries.told = [
        structs.replace(DECISION, id=9),
        earlier,
        structs.replace(DECISION, id=4, model=None, reason="no model"),
    ]
    page = site.http.get("/decisions/9").text
    for part in ("0.702", "0.6", "pending → firing", "curl model_drift", f"/requests/{ID}", "over the limit, waits"):
        assert part in page
    assert "no model" not in page
    assert not [item for item in site.queries.asked if isinstance(item, tuple)]


def test_the_checks_are_computed_again_on_request(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored data is shown even if Prometheus fails or the rule is gone."""
    assert "ok: drift 0.1, limit 0.6" in site.http.get("/decisions/9?again=true").text
    assert (MODEL, "Drifted", AT) in site.queries.asked
    silent = SourceError("no answer", reason="timeout", transient=True)
    for error in (silent, RequestError("there is no rule 'Drifted'")):

        def broken(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(site.queries, "explain", broken)
        page = site.http.get("/decisions/9?again=true")
        assert page.status_code == 200
        assert str(error).replace("'", "&#39;") in page.text
        assert "drift 0.702 above 0.6" in page.text


def test_a_decision_of_a_whole_rule_has_no_model(site: Site) -> None:
    """It has no checks either."""
    site.queries.told = [structs.replace(DECISION, id=9, model=None, value=None, request_id="")]
    page = site.http.get("/decisions/9").text
    assert "This decision concerns the whole rule" in page
    assert "All checks" not in page


def test_a_decision_is_found_by_rule_model_and_slot(site: Site) -> None:
    """The slot is RFC 3339 or milliseconds."""
    for slot in (str(AT), "2023-11-14T22:13:20Z"):
        answer = site.http.get(f"/decision?rule=Drifted&slot={slot}&{MODEL_QUERY}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, "/decisions/9")
    assert site.http.get(f"/decision?rule=Drifted&slot={AT + 1}&{MODEL_QUERY}").status_code == 404
    assert site.http.get("/decision?rule=Drifted&slot=yesterday").status_code == 400
    asked = len(site.queries.asked)
    assert site.http.get(f"/decision?rule=Drifted&slot={10**26}&{MODEL_QUERY}").status_code == 404
    assert len(site.queries.asked) == asked, "no store takes such a number"


@pytest.mark.parametrize("number", ["8", "10", "0", "-1", str(2**70)])
def test_a_decision_that_is_not_kept_is_not_found(site: Site, number: str) -> None:
    """The page explains why; the previous decision is not shown instead."""
    page = site.http.get(f"/decisions/{number}")
    assert page.status_code == 404
    assert "older than the retention time" in page.text


def test_hostile_texts_are_data(site: Site) -> None:
    """In the list and on the page of one decision."""
    model = ModelKey(HOSTILE, HOSTILE, HOSTILE)
    site.queries.told = [
        structs.replace(
            DECISION, id=9, model=model, rule=HOSTILE, reason=HOSTILE, query=HOSTILE, cause=HOSTILE, verdict=HOSTILE
        )
    ]
    for path in ("/decisions", "/decisions/9"):
        page = site.http.get(path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page
