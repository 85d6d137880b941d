"""Pages of requests, and the actions on them."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from msgspec import structs

from bridge.domain.errors import StoreFullError
from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason, OperatorAction, RecoveryVerdict, RequestState
from bridge.domain.shared_cause import SharedCause
from bridge.ports import DeliveryState
from tests.support.fake_views import AT, DELIVERY, ID, REQUEST
from tests.support.web_app import Site

WAITING = structs.replace(REQUEST, state=RequestState.AWAITING_APPROVAL, hold=HoldReason.APPROVAL, sent_at=0)
PRESSED = {"by": ""}  # a form as a browser sends it when nothing was filled in
HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture
def site() -> Site:
    return Site()


def test_the_first_digits_of_an_id_lead_to_the_page(site: Site) -> None:
    """At least four, and only if one of the latest requests begins with them."""

    def get(digits: str) -> tuple[int, str, str]:
        found = site.http.get(f"/requests/{digits}", follow_redirects=False)
        return found.status_code, found.headers.get("location", ""), found.text

    assert get(ID[:4])[:2] == (302, f"/requests/{ID}")
    assert get(ID[:3])[0] == get("ffff")[0] == 404
    other = structs.replace(REQUEST, request=structs.replace(REQUEST.request, id=ID[:8] + "0" * 24))
    site.queries.records = [REQUEST, other]
    status, _, page = get(ID[:8])
    assert (status, "2 of the latest requests begin with" in page, f"{ID}, {other.id}" in page) == (404, True, True)


def test_an_attempt_that_is_overdue_is_no_next_attempt(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time has passed: the destination was not ready, or the bridge was down."""
    assert "due since" not in site.http.get(f"/requests/{ID}").text
    overdue = [replace(DELIVERY, next_at=AT - 5000)]
    monkeypatch.setattr(site.queries, "deliveries", lambda _: overdue)
    assert "due since <time" in site.http.get(f"/requests/{ID}").text


def show(site: Site, monkeypatch: pytest.MonkeyPatch, record: object) -> None:
    monkeypatch.setattr(site.queries, "request", lambda _: record)


def test_a_request_that_waits_is_listed_with_what_one_can_do(site: Site) -> None:
    """Approve, release and withdraw each lead to a confirmation."""
    site.queries.records = [WAITING]
    page = site.http.get("/requests").text
    for what in ("approve", "release", "withdraw"):
        assert f'href="/requests/{ID}/{what}"' in page
    assert "drift 0.702 above 0.6" in page


def test_an_empty_list_has_an_explanation(site: Site) -> None:
    """No requests, none waiting, or none that match the filter."""
    site.queries.records = []
    page = site.http.get("/requests").text
    assert "No requests yet" in page
    assert "No request is held" in page
    assert "No matching requests" in site.http.get("/requests?project=x").text


def test_the_list_is_filtered_and_paged_by_the_server(site: Site) -> None:
    """Links keep the filter."""
    site.queries.records = [REQUEST] * 51
    page = site.http.get("/requests?state=requested&project=shop&rule=Drifted&after=x").text
    asked = next(item for item in site.queries.asked if getattr(item, "project", "") == "shop")
    assert (asked.states, asked.limit, asked.after, asked.rule) == ((RequestState.REQUESTED,), 51, "x", "Drifted")  # type: ignore[attr-defined]
    assert f'href="/requests?state=requested&amp;project=shop&amp;rule=Drifted&amp;after={ID}"' in page
    assert 'href="/requests?state=requested&amp;project=shop&amp;rule=Drifted"' in page


def test_the_list_is_shown_as_far_as_it_can_be_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is shown once, and is not an empty list."""

    def broken(_: object) -> None:
        raise StoreFullError("disk is full")

    monkeypatch.setattr(site.queries, "requests", broken)
    page = site.http.get("/requests").text
    assert page.count("This page is incomplete: disk is full") == 1
    assert "No requests yet" not in page


def test_a_request_shows_its_story_in_order(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the episode to the recovery verdict."""
    record = structs.replace(
        REQUEST, state=RequestState.SUCCEEDED, acts=(OperatorAction("approve", "kim", AT + 1000, "go on"),),
        sent_at=AT + 2000, ended_at=AT + 9000, new_version="8", verdict=RecoveryVerdict.RECOVERED,
        verdict_at=AT + 20_000,
    )  # fmt: skip
    show(site, monkeypatch, record)
    monkeypatch.setattr(
        site.queries, "deliveries", lambda _: [replace(DELIVERY, state=DeliveryState.DELIVERED, updated_at=AT + 3000)]
    )
    page = site.http.get(f"/requests/{ID}").text
    steps = [
        "episode started",
        "triggered",
        "by kim: go on",
        "sent",
        "delivered",
        "succeeded",
        "recovery verdict",
        "recovered",
    ]
    places = [page.index(step, page.index("Timeline")) for step in steps]
    assert places == sorted(places)
    assert "New version" in page
    assert f'href="/requests/{ID}/approve"' not in page


def test_an_unknown_request_is_not_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unavailable store is a 503."""
    page = site.http.get("/requests/nothing")
    assert page.status_code == 404
    assert "older than the retention time" in page.text

    def broken(_: object) -> None:
        raise StoreFullError("disk is full")

    monkeypatch.setattr(site.queries, "request", broken)
    assert site.http.get(f"/requests/{ID}").status_code == 503


def test_hostile_texts_are_data(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every page that shows a request."""
    request = structs.replace(
        REQUEST.request, model=ModelKey(HOSTILE, HOSTILE, HOSTILE), reason=HOSTILE, reasons=(HOSTILE,),
        labels={HOSTILE: HOSTILE}, annotations={HOSTILE: HOSTILE},
    )  # fmt: skip
    record = structs.replace(
        WAITING, request=request, message=HOSTILE, acts=(OperatorAction("approve", HOSTILE, AT, HOSTILE),)
    )
    show(site, monkeypatch, record)
    site.queries.records = [record]
    for path in ("/requests", f"/requests/{ID}", f"/requests/{ID}/approve", f"/requests/new?project={quote(HOSTILE)}"):
        page = site.http.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in page.text


def test_a_shared_cause_is_shown_with_its_evidence(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What speaks against the model itself, and what happens next."""
    cause = SharedCause("node", "n7", 17, 20, 1, 80, AT, ("shop/ranking", "shop/search"))
    record = structs.replace(
        REQUEST, state=RequestState.HELD, hold=HoldReason.NOT_THE_MODEL, shared_cause=cause, sent_at=0
    )
    show(site, monkeypatch, record)
    site.queries.records = [record]
    page = site.http.get(f"/requests/{ID}").text
    assert "17 of 20 models with node=&#34;n7&#34; are unhealthy, and 1 of 80 others" in page
    assert "The request is sent if they recover and this model does not." in page
    assert "shop/ranking, shop/search" in page
    assert "not the model: <bdi>17 of 20 models" in site.http.get("/requests").text
    show(site, monkeypatch, structs.replace(record, hold_until=AT))
    assert "They have recovered; if this model does not by" in site.http.get(f"/requests/{ID}").text
    show(site, monkeypatch, structs.replace(record, hold=HoldReason.WEIGHING, shared_cause=None))
    assert "may still become unhealthy" in site.http.get(f"/requests/{ID}").text
