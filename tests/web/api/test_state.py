"""HTTP API over fake views."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httpx2 as httpx
import pytest
from msgspec import structs
from openapi_spec_validator import validate
from standardwebhooks.webhooks import Webhook

from bridge.domain.model import ModelKey
from bridge.domain.request import Outcome, RequestState
from bridge.domain.verdict import Crossing
from bridge.engine.api.views import ReloadResult
from bridge.ports import DecisionFilter, RequestFilter
from tests.support.fake_views import (
    AT,
    DECISION,
    ID,
    NAN,
    signal,
)
from tests.support.web_app import Site

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def site() -> Site:
    return Site()


def test_models_come_page_by_page_and_by_state(site: Site) -> None:
    """Numbers that JSON cannot represent are strings."""
    site.queries.views[0].signals[0:] = [signal(NAN, float("inf"))]  # type: ignore[index]
    found = site.data("/api/v1/models?limit=1")
    assert isinstance(found, dict)
    assert (found["total"], len(found["models"])) == (2, 1)
    assert [found["models"][0]["signals"][0][key] for key in ("value", "statistic", "threshold")] == [
        "NaN", "NaN", "+Inf",
    ]  # fmt: skip
    assert found["models"][0]["signals"][0]["crossing"] is None
    crossing = Crossing(0.6, 1_764_600_000_000, 1_764_860_000_000, 0.9)
    site.queries.views[0].signals[0:] = [signal(crossing=crossing)]  # type: ignore[index]
    found = site.data("/api/v1/models?limit=1")
    assert isinstance(found, dict)
    assert found["models"][0]["signals"][0]["crossing"] == {
        "limit": 0.6, "earliest": "2025-12-01T14:40:00.000Z", "latest": "2025-12-04T14:53:20.000Z", "confidence": 0.9,
    }  # fmt: skip
    healthy = site.data("/api/v1/models?state=healthy")
    assert isinstance(healthy, dict)
    assert [item["pipeline"] for item in healthy["models"]] == ["search"]


def test_decisions_are_requested_by_model_rule_and_time(site: Site) -> None:
    """The filters reach the store."""
    path = "project=shop&pipeline=ranking&version=7&rule=Drifted&since=2023-11-14T22:13:20Z&limit=5"
    found = site.data(f"/api/v1/decisions?{path}")
    assert isinstance(found, dict)
    assert found["decisions"][0]["reason"] == "drift 0.702 above 0.6"
    assert site.queries.asked == [
        DecisionFilter(rule="Drifted", since=AT, limit=6, project="shop", pipeline="ranking", version="7")
    ]
    assert site.http.get("/api/v1/decisions?project=shop").status_code == 200
    assert site.queries.asked[-1] == DecisionFilter(limit=101, project="shop")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("decisions?since=yesterday", "since: "),
        ("decisions?limit=0", "limit: "),
        ("requests?state=nope", "state[0]: unknown state 'nope'; known are: "),
        ("models?state=nope", "state[0]: unknown state 'nope'; known are: "),
        ("rules?type=x", "type: "),
    ],
)
def test_wrong_parameters_are_named_in_a_problem(site: Site, path: str, message: str) -> None:
    """The 400 response explains how to fix them."""
    answer = site.http.get(f"/api/v1/{path}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["title"]) == (400, "Bad Request")
    assert message in answer.json()["detail"]


def test_requests_are_listed_and_shown_with_their_deliveries(site: Site) -> None:
    """They include id, reason and destinations."""
    site.data("/api/v1/requests?state=held&state=requested&project=shop&limit=3&after=x")
    wanted = RequestFilter((RequestState.HELD, RequestState.REQUESTED), "shop", limit=4, after="x")
    assert site.queries.asked == [wanted]
    site.data("/api/v1/requests?since=1970-01-01T00:00:01Z&until=1970-01-01T00:00:02Z")
    assert site.queries.asked[-1] == RequestFilter(limit=101, since=1000, until=2000)
    shown = site.data(f"/api/v1/requests/{ID}")
    assert isinstance(shown, dict)
    assert (shown["id"], shown["state"], shown["deliveries"][0]["answer"]) == (ID, "requested", "busy")
    assert site.http.get("/api/v1/requests/unknown").status_code == 404


def test_build_and_configuration_are_shown(site: Site) -> None:
    """Secrets are hidden before they reach the API."""
    build = site.data("/api/v1/status/buildinfo")
    assert isinstance(build, dict)
    assert build["version"] == "0.1.0"
    assert site.data("/api/v1/status/config/changes") == {"changes": []}
    assert site.data("/api/v1/status/config") == {"yaml": "prometheus: {url: http://localhost:9090}\n"}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_reload_answers_200_or_has_a_reason(site: Site, method: str) -> None:
    """The statuses are those of Prometheus."""
    assert site.http.request(method, "/-/reload").status_code == 200
    site.commands.reloaded = ReloadResult(ok=False, message="bridge.yml:3: unknown key")
    answer = site.http.request(method, "/-/reload")
    assert (answer.status_code, answer.text) == (500, "failed to reload config: bridge.yml:3: unknown key\n")
    assert site.http.get("/-/reload").status_code == 405


def test_redrive_counts_and_knows_its_requests(site: Site) -> None:
    """All dead deliveries, or those of one destination."""
    assert site.http.post(f"/api/v1/requests/{ID}/redrive").json()["data"] == {"redriven": 1}
    one = site.http.post(f"/api/v1/requests/{ID}/redrive", params={"destination": "a/b/0"})
    assert one.json()["data"] == {"redriven": 2}
    assert site.http.post("/api/v1/requests/unknown/redrive").status_code == 404


def test_a_delivery_shows_whether_its_destination_is_configured(site: Site) -> None:
    """In the listing and in its request."""
    for configured in (("team/coordinator/0",), ()):
        site.queries.configured = configured
        for path in (f"/api/v1/requests/{ID}", "/api/v1/deliveries"):
            found: Any = site.data(path)
            assert [item["configured"] for item in found["deliveries"]] == [bool(configured)]


def signed(body: bytes, secret: str = SECRET, at: int = AT // 1000) -> dict[str, str]:
    signature = Webhook(secret).sign(f"{ID}-1", datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": f"{ID}-1", "webhook-timestamp": str(at), "webhook-signature": signature}


REPORT = json.dumps(
    {"state": "succeeded", "new_version": "8", "message": "fine", "at": "2023-11-14T22:13:19Z"}
).encode()


def post_status(site: Site, body: bytes = REPORT, headers: dict[str, str] | None = None) -> httpx.Response:
    answer: httpx.Response = site.http.post(
        f"/api/v1/requests/{ID}/status", content=body, headers={"content-type": "application/json", **(headers or {})}
    )
    return answer


def test_an_unsigned_report_is_taken_from_this_machine_only() -> None:
    """This is the case without a secret."""
    near, far = Site(), Site(client="10.0.0.5")
    assert post_status(near).json()["data"] == {"id": ID, "state": "succeeded"}
    (report,) = near.commands.reports
    assert (report.state, report.new_version, report.message, report.at) == ("succeeded", "8", "fine", AT - 1000)
    assert post_status(far).status_code == 403
    assert far.commands.reports == []


def test_with_a_secret_only_signed_reports_are_taken() -> None:
    """The Standard Webhooks library signs them, at most five minutes ago."""
    site = Site(secrets=(SECRET,), client="10.0.0.5")
    assert post_status(site).status_code == 401
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    assert post_status(site, headers=signed(REPORT, other)).status_code == 401
    assert post_status(site, headers=signed(REPORT, at=AT // 1000 - 301)).status_code == 401
    assert post_status(site, REPORT + b" ", signed(REPORT)).status_code == 401
    assert site.commands.reports == []
    assert post_status(site, headers=signed(REPORT)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"state": "held"}', b'{"state": 5}', b'{"state": "failed", "at": "yesterday"}', b"\xff"],
)
def test_an_unusable_report_is_a_400(site: Site, body: bytes) -> None:
    """A 500 would make the coordinator retry forever."""
    assert post_status(site, body).status_code == 400
    assert site.commands.reports == []


def test_a_report_from_the_future_counts_as_now(site: Site) -> None:
    """A wrong clock must not delay the start of the cooldown."""
    post_status(site, b'{"state": "failed", "at": "2099-01-01T00:00:00Z"}')
    assert site.commands.reports[0].at == AT


def test_decisions_about_a_whole_rule_have_no_model(site: Site) -> None:
    """The rule's query failed."""
    site.queries.told = [structs.replace(DECISION, model=None, outcome=Outcome.ERROR)]
    found = site.data("/api/v1/decisions")
    assert isinstance(found, dict)
    assert (found["decisions"][0]["project"], found["decisions"][0]["outcome"]) == (None, "error")
    assert "all" in site.http.get("/").text


def test_models_can_be_chosen_by_name(site: Site) -> None:
    """Any of the three labels can be given."""
    for query, count in (("project=shop", 2), ("pipeline=search", 1), ("version=7&state=healthy", 0), ("version=x", 0)):
        found = site.data(f"/api/v1/models?{query}")
        assert isinstance(found, dict)
        assert found["total"] == count, query


def test_the_openapi_document_is_valid_and_knows_the_answers(site: Site) -> None:
    """OpenAPI 3.1 with every status that is sent, and without the unused 422."""
    document = site.http.get("/openapi.json").json()
    validate(document)
    assert site.http.get("/openapi.json").json() == document
    status = document["paths"]["/api/v1/requests/{request_id}/status"]["post"]
    assert {"200", "400", "401", "403", "404", "409", "413", "415", "503"} <= set(status["responses"])
    assert "422" not in status["responses"]
    states = status["requestBody"]["content"]["application/json"]["schema"]["properties"]["state"]["enum"]
    assert states == ["accepted", "running", "succeeded", "failed", "cancelled", "lost"]
    assert document["servers"] == [{"url": "/"}]


def test_an_explanation_has_its_checks_in_order(site: Site) -> None:
    """A model needs all three labels; an instant is RFC 3339."""
    found = site.data("/api/v1/explain?project=shop&pipeline=ranking&version=7&at=2023-11-14T22:13:20Z")
    (one,) = found["explanations"]
    assert (one["rule"], one["answer"], one["repeat"]) == ("Drifted", "verdict: ok: drift 0.1, limit 0.6", ["curl x"])
    assert (one["helped"], one["detects"]) == ("", "detects sudden changes so far; shifts from noon on")
    assert [(check["name"], check["passed"]) for check in one["checks"]] == [("query", True), ("verdict", False)]
    assert site.queries.asked == [(ModelKey("shop", "ranking", "7"), "", AT)]
    assert site.http.get("/api/v1/explain?project=shop").status_code == 400
    assert site.http.get("/api/v1/explain?project=a&pipeline=b&version=c&at=x").status_code == 400
