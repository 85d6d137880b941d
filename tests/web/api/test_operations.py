"""Operator endpoints: actions on requests, requests by hand, pauses."""

from __future__ import annotations

import pytest

from tests.support.fake_views import (
    ID,
)
from tests.support.web_app import Site


@pytest.fixture
def site() -> Site:
    return Site()


def test_operator_actions_are_recorded_with_user_and_note(site: Site) -> None:
    """The body names the user here; with basic auth the authenticated user counts."""
    found = site.http.post(f"/api/v1/requests/{ID}/approve", json={"by": "ada", "note": "fine"}).json()["data"]
    assert [(act["what"], act["who"], act["note"]) for act in found["acts"]] == [("approve", "ada", "fine")]
    assert site.http.post(f"/api/v1/requests/{ID}/release", auth=("bob", "x"), json={"by": "ada"}).status_code == 200
    assert site.http.post(f"/api/v1/requests/{ID}/withdraw").status_code == 200
    assert site.commands.acts == [("approve", "ada", "fine"), ("release", "bob", ""), ("withdraw", "127.0.0.1", "")]
    assert site.http.post(f"/api/v1/requests/{ID[::-1]}/approve").status_code == 404
    assert site.http.post(f"/api/v1/requests/{ID}/approve", json={"from": "ada"}).status_code == 400


def test_a_request_by_hand_needs_a_model_and_a_reason(site: Site) -> None:
    """Missing fields are reported; a closed gate is a conflict."""
    body = {"project": "shop", "pipeline": "ranking", "version": "7", "reason": "fresh labels", "by": "ada"}
    assert site.http.post("/api/v1/requests", json=body).status_code == 409
    assert site.http.post("/api/v1/requests", json={**body, "force": True}).json()["data"]["id"] == ID
    assert site.commands.acts == [("shop/ranking/7", "fresh labels", "ada")]
    refused = site.http.post("/api/v1/requests", json={**body, "reason": ""})
    assert (refused.status_code, refused.json()["detail"]) == (
        400, "reason: must not be empty",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"feedback": "usefull"}, "feedback: unknown feedback 'usefull'; did you mean 'useful'?"),
        ({"feedback": "good"}, "feedback: unknown feedback 'good'; known are: false, late, useful"),
        ({"feedback": 1}, "feedback: must be one of useful, false, late, not a number"),
        ({}, "feedback: is missing"), ({"feedback": "late", "by": 3}, "by: must be text, not a number"),
        ({"feedback": "late", "note": "x" * 1001}, "note: must have at most 1000 characters"),
        ({"feedback": "late", "notes": "x"}, "notes: is unknown"), ([], "body: must be a mapping, not a list"),
    ],
)  # fmt: skip
def test_an_invalid_body_is_explained(site: Site, body: object, detail: str) -> None:
    """What is wrong, where, and what is near."""
    answer = site.http.post(f"/api/v1/requests/{ID}/feedback", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (400, detail)


def test_pauses_have_a_scope_and_an_end(site: Site) -> None:
    """They are listed as created; an invalid length or scope is refused."""
    made = site.http.post("/api/v1/pause", json={"project": "shop", "duration": "2h", "by": "ada", "note": "why"})
    assert made.json()["data"] == {
        "project": "shop", "pipeline": "", "scope": "shop", "until": "2023-11-15T00:13:20.000Z", "who": "ada",
        "at": "2023-11-14T22:13:20.000Z", "note": "why",
    }  # fmt: skip
    assert site.data("/api/v1/pause") == {"pauses": [made.json()["data"]]}
    answer = site.http.post("/api/v1/pause", json={"project": "a\0b"})
    assert answer.json()["data"]["project"] == "a\ufffdb"  # PostgreSQL stores no NUL
    for body in ({"duration": "long"}, {"duration": "31d"}, {"pipeline": "ranking"}):
        assert site.http.post("/api/v1/pause", json=body).status_code == 400


def test_key_of_a_call_reaches_the_action(site: Site) -> None:
    """From the API and from a form; one that is too long is refused."""
    key = {"Idempotency-Key": "k1"}
    model = {"project": "shop", "pipeline": "ranking", "version": "7", "reason": "fresh labels"}
    for url, body in (
        (f"/api/v1/requests/{ID}/approve", {}), (f"/api/v1/requests/{ID}/feedback", {"feedback": "late"}),
        ("/api/v1/requests", {**model, "force": True}),
    ):  # fmt: skip
        assert site.http.post(url, json=body, headers=key).status_code == 200
        assert site.http.post(url, json=body).status_code == 200
        assert site.http.post(url, json=body, headers={"Idempotency-Key": "k" * 201}).status_code == 400
    assert site.commands.keys == ["k1", "", "k1", "", "k1", ""]
    site.commands.keys.clear()
    for path, form in (
        (f"/requests/{ID}/approve", {}), (f"/requests/{ID}/useful", {}), ("/requests/new", {**model, "force": "yes"}),
        ("/requests/bulk", {"what": "approve", "ids": ID}),
    ):  # fmt: skip
        site.http.post(path, data={"note": "", **form}, headers=key, follow_redirects=False)
        assert (
            site.http.post(path, data={"note": "", **form}, headers={"Idempotency-Key": "k" * 201}).status_code == 400
        )
    assert site.commands.keys == ["k1"] * 4


def test_deliveries_to_a_removed_receiver_are_discarded(site: Site) -> None:
    """The answer has their number; a repeated call discards none."""
    path = "/api/v1/deliveries/discard"
    made = site.http.post(path, json={"receiver": "old", "by": "ada", "note": "gone"}).json()["data"]
    assert made == {"discarded": 2, "requests": 1, "destinations": ["old/webhook/0"]}
    assert site.commands.acts == [("discard old", "ada", "gone")]
    none = site.http.post(path, json={"receiver": "team"}).json()["data"]
    assert none == {"discarded": 0, "requests": 0, "destinations": []}
    for body in ({}, {"receiver": ""}, {"receiver": "old", "destination": "old/webhook/0"}):
        assert site.http.post(path, json=body).status_code == 400
