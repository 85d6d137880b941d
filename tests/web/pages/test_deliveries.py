"""Discarding of deliveries to removed destinations, from the pages that show them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import StoreError
from bridge.ports import DeliveryState, QueueDepth
from bridge.web.http.settings import WebSettings
from tests.support.fake_views import AT, DELIVERY, ID
from tests.support.web_app import Site

FORM = "/deliveries/discard?receiver=old"
PRESSED = {"receiver": "old", "by": ""}  # a form as a browser sends it when nothing was filled in


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return a site on which deliveries wait for a removed receiver."""
    made = Site()
    made.queries.waiting = made.queries.sent_to = [replace(DELIVERY, destination="old/webhook/0")]
    depths = {
        "old/webhook/0": QueueDepth(2, AT, 1), "older/webhook/0": QueueDepth(5, AT, 0),
        "team/coordinator/0": QueueDepth(4, AT, 0),
    }  # fmt: skip
    monkeypatch.setattr(made.queries, "queue_depths", lambda: depths)
    return made


@pytest.mark.parametrize("path", ["/", "/status", f"/requests/{ID}"])
def test_each_page_that_shows_such_deliveries_offers_to_discard_them(site: Site, path: str) -> None:
    """Not those to a configured destination, and not those that were discarded."""
    assert f'href="{FORM}" aria-label="Discard the deliveries to old"' in site.http.get(path).text
    site.queries.configured = ("old/webhook/0", "older/webhook/0", "team/coordinator/0")
    assert "/deliveries/discard" not in site.http.get(path).text


def test_a_discarded_delivery_is_not_offered_again(site: Site) -> None:
    """It stays in the list of its request."""
    site.queries.sent_to = [
        replace(DELIVERY, destination="old/webhook/0", state=DeliveryState.DEAD, reason="discarded")
    ]
    assert "/deliveries/discard" not in site.http.get(f"/requests/{ID}").text


def test_the_form_lists_what_would_end(site: Site) -> None:
    """The destinations of this receiver only, each with its deliveries. GET changes nothing."""
    page = site.http.get(FORM).text
    for part in ("old/webhook/0", '<td data-name="Pending">2</td>', '<td data-name="Dead">1</td>', 'name="note"'):
        assert part in page
    assert "older" not in page
    assert "team/coordinator" not in page
    assert site.commands.acts == []


def test_deliveries_are_discarded_once_and_recorded(site: Site) -> None:
    """With the user and the note; the page that follows says so."""
    answer = site.http.post("/deliveries/discard", data={"receiver": "old", "by": " kim ", "note": "moved"},
                            follow_redirects=False)  # fmt: skip
    assert (answer.status_code, answer.headers["location"]) == (303, "/status?result=discard")
    assert site.commands.acts == [("discard old", "kim", "moved")]
    assert 'role="status">The deliveries were discarded.' in site.http.get(answer.headers["location"]).text


@pytest.mark.parametrize("receiver", ["team", "nobody", "<script>alert(1)</script>"])
def test_a_receiver_without_such_deliveries_has_no_form(site: Site, receiver: str) -> None:
    """The page says why; a late POST changes nothing."""
    page = site.http.get("/deliveries/discard", params={"receiver": receiver}).text
    assert "no delivery waits for a destination of" in page
    assert "<form" not in page
    assert "<script>alert" not in page
    late = site.http.post("/deliveries/discard", data={**PRESSED, "receiver": receiver})
    assert late.status_code == 409
    assert "Nothing to discard" in late.text
    assert "Nothing changed" not in late.text  # a standby may have repeated a call whose answer was lost
    assert site.commands.acts == []


def test_a_store_that_fails_is_reported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after the confirmation. Deliveries end in portions, so some may have ended."""

    def broken(*_: object) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(site.commands, "discard", broken)
    answer = site.http.post("/deliveries/discard", data=PRESSED)
    assert (answer.status_code, "disk full" in answer.text) == (503, True)
    assert "Nothing changed" not in answer.text
    assert "repeat it for the rest" in answer.text
    monkeypatch.setattr(site.queries, "queue_depths", broken)
    page = site.http.get(FORM)
    assert (page.status_code, "disk full" in page.text) == (503, True)


def test_forms_of_other_sites_are_refused(site: Site) -> None:
    """No form of another site discards anything."""
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert site.http.post("/deliveries/discard", data=PRESSED, headers=headers).status_code == 403
    assert site.commands.acts == []


def test_a_server_that_refuses_changes_does_not_offer_it() -> None:
    """The deliveries are marked nevertheless."""
    site = Site(WebSettings(listen=":9095"))
    site.queries.configured = ()
    page = site.http.get("/").text
    assert "destination not configured any more" in page
    assert "/deliveries/discard" not in page
