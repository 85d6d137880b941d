"""Pages of requests, and the actions on them."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest

from bridge.domain.errors import RequestError, StoreFullError
from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason, OperatorAction, RecoveryVerdict, RequestState
from bridge.domain.shared_cause import SharedCause
from bridge.ports import DeliveryState
from bridge.web.http.settings import WebSettings
from tests.support.fake_views import AT, DELIVERY, ID, REQUEST
from tests.support.web_app import Site

WAITING = replace(REQUEST, state=RequestState.AWAITING_APPROVAL, hold=HoldReason.APPROVAL, sent_at=0)
PRESSED = {"by": ""}  # a form as a browser sends it when nothing was filled in
HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture
def site() -> Site:
    return Site()


def show(site: Site, monkeypatch: pytest.MonkeyPatch, record: object) -> None:
    monkeypatch.setattr(site.queries, "request", lambda _: record)


def test_a_request_that_waits_is_listed_with_what_one_can_do(site: Site) -> None:
    """Approve, release and withdraw each lead to a confirmation."""
    site.queries.records = [WAITING]
    page = site.http.get("/requests").text
    for what in ("approve", "release", "withdraw"):
        assert f'href="/requests/{ID}/{what}"' in page
    assert "drift 0.702 above 0.6" in page


def test_an_empty_list_says_what_it_means(site: Site) -> None:
    """No requests, none waiting, or none that match the filter."""
    site.queries.records = []
    page = site.http.get("/requests").text
    assert "No requests yet" in page
    assert "No request is held" in page
    assert "No matching requests" in site.http.get("/requests?project=x").text


def test_the_list_is_filtered_and_paged_by_the_server(site: Site) -> None:
    """Links keep the filter."""
    site.queries.records = [REQUEST] * 51
    page = site.http.get("/requests?state=requested&project=shop&after=x").text
    asked = next(item for item in site.queries.asked if getattr(item, "project", "") == "shop")
    assert (asked.states, asked.limit, asked.after) == ((RequestState.REQUESTED,), 51, "x")  # type: ignore[attr-defined]
    assert f'href="/requests?state=requested&amp;project=shop&amp;after={ID}"' in page
    assert 'href="/requests?state=requested&amp;project=shop"' in page


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
    record = replace(
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
    request = replace(
        REQUEST.request, model=ModelKey(HOSTILE, HOSTILE, HOSTILE), reason=HOSTILE, reasons=(HOSTILE,),
        labels={HOSTILE: HOSTILE}, annotations={HOSTILE: HOSTILE},
    )  # fmt: skip
    record = replace(WAITING, request=request, message=HOSTILE, acts=(OperatorAction("approve", HOSTILE, AT, HOSTILE),))
    show(site, monkeypatch, record)
    site.queries.records = [record]
    for path in ("/requests", f"/requests/{ID}", f"/requests/{ID}/approve", f"/requests/new?project={quote(HOSTILE)}"):
        page = site.http.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in page.text


def test_a_shared_cause_is_told_with_its_evidence(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What speaks against the model itself, and what happens next."""
    cause = SharedCause("node", "n7", 17, 20, 1, 80, AT, ("shop/ranking", "shop/search"))
    record = replace(REQUEST, state=RequestState.HELD, hold=HoldReason.NOT_THE_MODEL, shared_cause=cause, sent_at=0)
    show(site, monkeypatch, record)
    site.queries.records = [record]
    page = site.http.get(f"/requests/{ID}").text
    assert "17 of 20 models with node=&#34;n7&#34; are unhealthy, and 1 of 80 others" in page
    assert "The request is sent if they recover and this model does not." in page
    assert "shop/ranking, shop/search" in page
    assert "not the model: <bdi>17 of 20 models" in site.http.get("/requests").text
    show(site, monkeypatch, replace(record, hold_until=AT))
    assert "They have recovered; if this model does not by" in site.http.get(f"/requests/{ID}").text
    show(site, monkeypatch, replace(record, hold=HoldReason.WEIGHING, shared_cause=None))
    assert "may still become unhealthy" in site.http.get(f"/requests/{ID}").text


@pytest.mark.parametrize("what", ["useful", "false", "late"])
def test_feedback_is_confirmed_and_recorded(site: Site, what: str) -> None:
    """On every request; GET changes nothing."""
    assert f'href="/requests/{ID}/{what}"' in site.http.get(f"/requests/{ID}").text
    assert f"Mark a request as {what}" in site.http.get(f"/requests/{ID}/{what}").text
    answer = site.http.post(f"/requests/{ID}/{what}", data={"by": "kim", "note": ""}, follow_redirects=False)
    assert site.commands.acts == [(what, "kim", "")]
    assert f"Feedback recorded: {what}." in site.http.get(answer.headers["location"]).text


@pytest.mark.parametrize("what", ["approve", "release", "withdraw"])
def test_an_act_is_confirmed_and_recorded_with_who_did_it(site: Site, what: str) -> None:
    """GET changes nothing; the POST acts once and redirects back."""
    assert f'action="/requests/{ID}/{what}"' in site.http.get(f"/requests/{ID}/{what}").text
    assert site.commands.acts == []
    answer = site.http.post(f"/requests/{ID}/{what}", data={"by": " kim ", "note": "seen"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/requests/{ID}?result={what}")
    assert site.commands.acts == [(what, "kim", "seen")]
    assert 'role="status">Request ' in site.http.get(answer.headers["location"]).text


@pytest.mark.parametrize("what", ["approve", "release", "withdraw", "retry", "redrive", "late", "new"])
def test_another_site_cannot_act(site: Site, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No form of another site is accepted."""

    def never(*_: object, **__: object) -> int:
        raise AssertionError("acted for another site")

    for name in ("act", "feedback", "retry", "redrive", "create"):
        monkeypatch.setattr(site.commands, name, never)
    path = "/requests/new" if what == "new" else f"/requests/{ID}/{what}"
    form = {"project": "a", "pipeline": "b", "version": "1", "reason": "x", "force": "yes"}
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert site.http.post(path, data=form, headers=headers).status_code == 403


def test_an_act_that_comes_too_late_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request has been sent in the meantime."""

    def late(*_: object) -> None:
        raise RequestError("request is requested; only one that is held can be approved")

    monkeypatch.setattr(site.commands, "act", late)
    answer = site.http.post(f"/requests/{ID}/approve", data={"by": "kim"})
    assert answer.status_code == 409
    assert "Nothing changed" in answer.text
    assert "only one that is held can be approved" in answer.text
    assert site.http.post("/requests/none/withdraw", data=PRESSED).status_code in {404, 409}


def test_a_retry_is_offered_for_what_waits_for_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only then; if it is too late, the page says so."""
    assert f"/requests/{ID}/retry" in site.http.get(f"/requests/{ID}").text
    answer = site.http.post(f"/requests/{ID}/retry", data=PRESSED, follow_redirects=False)
    assert answer.headers["location"] == f"/requests/{ID}?result=retry"
    assert site.commands.retried == 1
    site.commands.waiting_for_retry = 0
    assert site.http.post(f"/requests/{ID}/retry", data=PRESSED).status_code == 409
    monkeypatch.setattr(site.queries, "deliveries", lambda _: [replace(DELIVERY, state=DeliveryState.DELIVERED)])
    assert f"/requests/{ID}/retry" not in site.http.get(f"/requests/{ID}").text


def test_redrive_is_offered_for_what_was_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for dead deliveries."""
    assert f"/requests/{ID}/redrive" not in site.http.get(f"/requests/{ID}").text
    monkeypatch.setattr(site.queries, "deliveries", lambda _: [replace(DELIVERY, state=DeliveryState.DEAD)])
    assert f"/requests/{ID}/redrive" in site.http.get(f"/requests/{ID}").text
    answer = site.http.post(f"/requests/{ID}/redrive", data=PRESSED, follow_redirects=False)
    assert answer.headers["location"] == f"/requests/{ID}?result=redrive"
    monkeypatch.setattr(site.commands, "redrive", lambda *_: 0)
    assert site.http.post(f"/requests/{ID}/redrive", data=PRESSED).status_code == 409


def test_a_request_by_hand_is_refused_by_a_closed_gate_and_keeps_what_was_filled_in(site: Site) -> None:
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


def test_a_body_that_is_no_form_is_refused(site: Site) -> None:
    """JSON belongs to the API; long text is not truncated silently."""
    path = f"/requests/{ID}/approve"
    assert site.http.post(path, json={"by": "kim"}).status_code == 415
    assert site.http.post(path, data={"note": "x" * 1001}).status_code == 400
    assert site.http.post(path, data={f"f{n}": "x" for n in range(60)}).status_code == 400
    assert site.commands.acts == []


def test_what_was_done_is_reported_in_our_words_only(site: Site) -> None:
    """A link cannot inject text into the page."""
    page = site.http.get(f"/requests/{ID}", params={"result": "You are hacked"}).text
    assert "hacked" not in page
    assert 'class="done"' not in page


def test_links_and_forms_carry_the_external_urls_path() -> None:
    """A proxy serves the bridge below a path."""
    site = Site(WebSettings(external_url="http://127.0.0.1/bridge/"))
    assert f'action="/bridge/requests/{ID}/approve"' in site.http.get(f"/bridge/requests/{ID}/approve").text
    answer = site.http.post(f"/bridge/requests/{ID}/approve", data=PRESSED, follow_redirects=False)
    assert answer.headers["location"] == f"/bridge/requests/{ID}?result=approve"
