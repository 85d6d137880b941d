"""Operator actions on requests, from their pages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from bridge.domain.errors import RequestError
from bridge.domain.request import RequestState
from bridge.ports import DeliveryState
from tests.support.fake_views import DELIVERY, ID, REQUEST
from tests.support.web_app import Site

PRESSED = {"by": ""}  # a form as a browser sends it when nothing was filled in


def possible(site: Site) -> None:
    """Let the request await approval."""
    waiting = structs.replace(REQUEST, state=RequestState.AWAITING_APPROVAL)
    site.queries.request = lambda request_id: waiting if request_id == ID else None  # type: ignore[method-assign]


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize("what", ["useful", "false", "late"])
def test_feedback_is_confirmed_and_recorded(site: Site, what: str) -> None:
    """On every request; GET changes nothing."""
    assert f'href="/requests/{ID}/{what}"' in site.http.get(f"/requests/{ID}").text
    assert f"Mark a request as {what}" in site.http.get(f"/requests/{ID}/{what}").text
    answer = site.http.post(f"/requests/{ID}/{what}", data={"by": "kim", "note": ""}, follow_redirects=False)
    assert site.commands.acts == [(what, "kim", "")]
    assert f"Feedback recorded: {what}." in site.http.get(answer.headers["location"]).text


@pytest.mark.parametrize("what", ["approve", "release", "withdraw"])
def test_an_action_is_confirmed_and_recorded_with_its_user(site: Site, what: str) -> None:
    """GET changes nothing; the POST acts once and redirects back."""
    possible(site)
    assert f'action="/requests/{ID}/{what}"' in site.http.get(f"/requests/{ID}/{what}").text
    assert site.commands.acts == []
    answer = site.http.post(f"/requests/{ID}/{what}", data={"by": " kim ", "note": "seen"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/requests/{ID}?result={what}")
    assert site.commands.acts == [(what, "kim", "seen")]
    assert 'role="status">Request ' in site.http.get(answer.headers["location"]).text


@pytest.mark.parametrize("what", ["approve", "release", "withdraw", "retry", "redrive", "late", "new"])
def test_forms_of_other_sites_are_refused(site: Site, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No form of another site is accepted."""

    def never(*_: object, **__: object) -> int:
        raise AssertionError("acted for another site")

    for name in ("act", "feedback", "retry", "redrive", "create"):
        monkeypatch.setattr(site.commands, name, never)
    path = "/requests/new" if what == "new" else f"/requests/{ID}/{what}"
    form = {"project": "a", "pipeline": "b", "version": "1", "reason": "x", "force": "yes"}
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert site.http.post(path, data=form, headers=headers).status_code == 403


def test_a_late_action_shows_the_reason(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request has been sent in the meantime."""

    def late(*_: object) -> None:
        raise RequestError("request is requested; only one that awaits approval can be approved")

    monkeypatch.setattr(site.commands, "act", late)
    answer = site.http.post(f"/requests/{ID}/approve", data={"by": "kim"})
    assert answer.status_code == 409
    assert "Nothing changed" in answer.text
    assert "only one that awaits approval can be approved" in answer.text
    assert site.http.post("/requests/none/withdraw", data=PRESSED).status_code in {404, 409}


def test_retry_is_offered_for_deliveries_that_wait_for_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only then; if it is too late, the page says so."""
    assert f"/requests/{ID}/retry" in site.http.get(f"/requests/{ID}").text
    answer = site.http.post(f"/requests/{ID}/retry", data=PRESSED, follow_redirects=False)
    assert answer.headers["location"] == f"/requests/{ID}?result=retry"
    assert site.commands.retried == 1
    site.commands.waiting_for_retry = 0
    assert site.http.post(f"/requests/{ID}/retry", data=PRESSED).status_code == 409
    monkeypatch.setattr(site.queries, "deliveries", lambda _: [replace(DELIVERY, state=DeliveryState.DELIVERED)])
    assert f"/requests/{ID}/retry" not in site.http.get(f"/requests/{ID}").text


def test_redrive_is_offered_for_dead_deliveries(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for dead deliveries."""
    assert f"/requests/{ID}/redrive" not in site.http.get(f"/requests/{ID}").text
    monkeypatch.setattr(site.queries, "deliveries", lambda _: [replace(DELIVERY, state=DeliveryState.DEAD)])
    assert f"/requests/{ID}/redrive" in site.http.get(f"/requests/{ID}").text
    answer = site.http.post(f"/requests/{ID}/redrive", data=PRESSED, follow_redirects=False)
    assert answer.headers["location"] == f"/requests/{ID}?result=redrive"
    monkeypatch.setattr(site.commands, "redrive", lambda *_: 0)
    assert site.http.post(f"/requests/{ID}/redrive", data=PRESSED).status_code == 409


def test_deliveries_to_a_removed_destination_are_neither_retried_nor_redriven(site: Site) -> None:
    """The pages say so, except for one that was discarded."""
    site.queries.configured = ()
    gone = "destination not configured any more"
    for path in (f"/requests/{ID}", "/", "/status"):
        assert gone in site.http.get(path).text, path
    site.queries.sent_to = [DELIVERY, replace(DELIVERY, state=DeliveryState.DEAD)]
    page = site.http.get(f"/requests/{ID}").text
    for what in ("retry", "redrive"):
        assert f"/requests/{ID}/{what}" not in page
        assert "to a configured destination" in site.http.get(f"/requests/{ID}/{what}").text
    site.queries.sent_to = [replace(DELIVERY, state=DeliveryState.DEAD, reason="discarded")]
    assert gone not in site.http.get(f"/requests/{ID}").text


def test_a_request_refused_by_a_gate_keeps_the_form(site: Site) -> None:
    """Unless it is forced; missing fields are named."""
    form = {"project": "shop", "pipeline": "ranking", "version": "7", "reason": "new data", "by": "kim"}
    refused = site.http.post("/requests/new", data=form)
    assert refused.status_code == 409
    assert "gate cooldown is closed" in refused.text
    assert 'value="ranking"' in refused.text
    made = site.http.post("/requests/new", data={**form, "force": "yes"}, follow_redirects=False)
    assert made.headers["location"] == f"/requests/{ID}?result=create"
    assert site.commands.acts == [("shop/ranking/7", "new data", "kim")]
    missing = site.http.post("/requests/new", data={"project": "shop"})
    assert missing.status_code == 400
    assert "missing: pipeline, version, reason" in missing.text


def test_an_impossible_action_explains_why_before_the_form(site: Site) -> None:
    """The request is in flight, so approving it would be refused."""
    page = site.http.get(f"/requests/{ID}/approve").text
    assert "the request is requested, and only one that awaits approval can be approved." in page
    assert "<form" not in page


def test_a_closed_gate_is_named_before_a_request_by_hand(site: Site) -> None:
    """Only for a model that is named in full."""
    query = "project=shop&pipeline=ranking&version=7"
    assert "would be refused" not in site.http.get(f"/requests/new?{query}").text
    site.commands.refused = "shop/ranking: gate cooldown is closed"
    page = site.http.get(f"/requests/new?{query}").text
    assert "would be refused now: <bdi>shop/ranking: gate cooldown is closed" in page
    assert "would be refused" not in site.http.get("/requests/new").text
