"""Tests of the application of a standby."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from starlette.testclient import TestClient

from bridge.web.http.settings import WebConfig, WebSettings
from bridge.web.http.switch import Switch
from bridge.web.standby import Forwarded, NoOwnerError, create_standby_app


class Owner:
    """Owner that records requests. error: raised instead of an answer."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self.repeatable: list[bool] = []
        self.error: NoOwnerError | None = None

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, repeatable: bool = False
    ) -> Forwarded:
        """Answer a request."""
        self.seen.append((method, path, headers, body))
        self.repeatable.append(repeatable)
        if self.error is not None:
            raise self.error
        answer = {"Content-Type": "text/x", "Location": "/there", "Connection": "close", "Content-Encoding": "gzip"}
        return Forwarded(303, answer, b"answer")


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def client(owner: Owner) -> TestClient:
    app = create_standby_app(WebSettings(), WebConfig(), lambda: b"fleet_metric 1\n", owner)
    return TestClient(app, base_url="http://127.0.0.1:9095", follow_redirects=False)


def test_health_and_metrics_are_its_own(client: TestClient, owner: Owner) -> None:
    """Nothing of them is forwarded: they are about this process."""
    assert client.get("/-/healthy").status_code == 200
    assert "standby" in client.get("/-/ready").text
    assert client.get("/metrics").text == "fleet_metric 1\n"
    assert owner.seen == []


def test_other_requests_go_to_the_owner(client: TestClient, owner: Owner) -> None:
    """With method, query, credentials, host and body; the answer keeps its status and headers, except hop by hop."""
    answer = client.post(
        "/api/v1/requests/7/approve?a=1&b=2", content=b'{"x": 1}',
        headers={"Authorization": "Basic YTpi", "Connection": "keep-alive", "Origin": "http://127.0.0.1:9095"},
    )  # fmt: skip
    ((method, path, headers, body),) = owner.seen
    assert (method, path, body) == ("POST", "/api/v1/requests/7/approve?a=1&b=2", b'{"x": 1}')
    assert headers["authorization"] == "Basic YTpi"
    assert headers["host"] == "127.0.0.1:9095"
    assert "connection" not in headers
    assert (answer.status_code, answer.text) == (303, "answer")
    assert answer.headers["location"] == "/there"
    assert "content-encoding" not in answer.headers


def test_foreign_request_is_refused_before_it_is_forwarded(client: TestClient, owner: Owner) -> None:
    """The guard stands before the standby as well."""
    answer = client.post("/api/v1/requests/7/approve", headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert owner.seen == []


@pytest.mark.parametrize(
    ("method", "sent", "status"), [("GET", True, 503), ("GET", False, 503), ("POST", False, 503), ("POST", True, 504)]
)
def test_missing_owner_is_reported(client: TestClient, owner: Owner, method: str, sent: bool, status: int) -> None:
    """503 to repeat; 504 where a change may have been made."""
    owner.error = NoOwnerError("the owner at http://r1 did not answer (timeout)", sent=sent)
    answer = client.request(method, "/api/v1/requests")
    assert answer.status_code == status
    assert "the owner at http://r1" in answer.json()["detail"]
    assert answer.headers.get("retry-after") == ("5" if status == 503 else None)


def test_change_gets_a_key_that_its_repeats_share(client: TestClient, owner: Owner) -> None:
    """A new one for each call, unless the caller has one; after a cut the answer names it."""
    owner.error = NoOwnerError("the owner did not answer", sent=True)
    for headers in ({}, {}, {"Idempotency-Key": "mine"}):
        answer = client.post("/api/v1/requests/7/approve", headers=headers)
        key = owner.seen[-1][2]["idempotency-key"]
        assert f"Idempotency-Key: {key}, so that it is applied once" in answer.json()["detail"]
    keys = [headers["idempotency-key"] for _, _, headers, _ in owner.seen]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"
    assert owner.repeatable == [True] * 3


def test_silence_is_never_repeated(client: TestClient, owner: Owner) -> None:
    """Alertmanager would create a second one. Reads are not repeated either: the caller does that."""
    owner.error = NoOwnerError("the owner did not answer", sent=True)
    for path in ("/silences/new", "/api/v1/silences"):
        assert "look whether the change was made" in client.post(path).json()["detail"]
    client.get("/")
    assert owner.repeatable == [False] * 3


def test_forwarded_request_is_not_forwarded_again(client: TestClient, owner: Owner) -> None:
    """Two standbys that take each other for the owner would send it in a circle."""
    client.get("/")
    _, _, headers, _ = owner.seen.pop()
    answer = client.get("/", headers={"x-retrain-bridge-forwarded": headers["x-retrain-bridge-forwarded"]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert owner.seen == []


def test_switch_passes_to_the_present_application(owner: Owner) -> None:
    """A take-over changes the application of a server that runs."""
    switch = Switch(create_standby_app(WebSettings(), WebConfig(), lambda: b"one", owner))
    client = TestClient(switch, base_url="http://127.0.0.1:9095")
    assert client.get("/metrics").text == "one"
    switch.app = create_standby_app(WebSettings(), WebConfig(), lambda: b"two", owner)
    assert client.get("/metrics").text == "two"
