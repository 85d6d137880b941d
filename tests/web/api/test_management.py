"""Status reports of coordinators: authentication and content."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from msgspec import structs
from standardwebhooks.webhooks import Webhook

from bridge.domain.errors import RequestError
from bridge.domain.request import RequestState
from bridge.net.session import NetError
from bridge.web.app import create_app
from bridge.web.http.settings import WebSettings
from bridge.web.http.web_config import WebConfig
from tests.support.coordinator import OTHER_SECRET, SECRET
from tests.support.fake_views import AT, ID, REQUEST, FakeCommands, FakeQueries

OTHER_ID = "0" * 32


class Site:
    """Bridge that coordinators report to."""

    def __init__(self, *secrets: str, client: str = "127.0.0.1", listen: str = "127.0.0.1:9095") -> None:
        self.commands = FakeCommands()
        self.secrets: Sequence[str] | Exception = secrets
        app = create_app(
            FakeQueries(), self.commands, WebSettings(listen), lambda _: b"", WebConfig(), lambda: AT, self._secrets
        )
        self.http = TestClient(app, base_url="http://127.0.0.1:9095", client=(client, 50_000))

    def _secrets(self) -> Sequence[str]:
        if isinstance(self.secrets, Exception):
            raise self.secrets
        return self.secrets

    def post(self, body: object = None, headers: dict[str, str] | None = None, request_id: str = ID) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body or {"state": "running"}).encode()
        answer: httpx.Response = self.http.post(
            f"/api/v1/requests/{request_id}/status", content=content,
            headers={"content-type": "application/json", **(headers or {})},
        )  # fmt: skip
        return answer


def signed(body: bytes, secret: str = SECRET, message_id: str = f"{ID}-3") -> dict[str, str]:
    stamp = datetime.fromtimestamp(AT // 1000, UTC)
    signature = Webhook(secret).sign(message_id, stamp, body.decode())
    return {"webhook-id": message_id, "webhook-timestamp": str(AT // 1000), "webhook-signature": signature}


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
def test_a_proxy_on_this_machine_forwards_other_clients(header: str) -> None:
    """Without a secret, forwarded reports are refused."""
    site = Site()
    assert site.post(headers={header: "127.0.0.1"}).status_code == 403
    assert site.post().status_code == 200


@pytest.mark.parametrize("client", ["::1", "127.0.0.7", "::ffff:127.0.0.1"])
def test_this_machine_has_many_addresses(client: str) -> None:
    """Every loopback address is accepted."""
    assert Site(client=client).post().status_code == 200


@pytest.mark.parametrize("client", ["10.0.0.5", "::ffff:10.0.0.5", "unix"])
def test_without_a_secret_no_other_caller_is_accepted(client: str) -> None:
    """This holds for every listen address."""
    site = Site(client=client, listen="0.0.0.0:9095")
    answer = site.post()
    assert (answer.status_code, site.commands.reports) == (403, [])
    assert "only from this host" in answer.json()["detail"]


def test_a_signature_opens_a_server_that_refuses_other_changes() -> None:
    """Beyond loopback without passwords, a signed report is accepted."""
    site = Site(SECRET, client="10.0.0.5", listen="0.0.0.0:9095")
    body = b'{"state": "running"}'
    assert site.post(body, signed(body)).status_code == 200
    assert site.post(body).status_code == 401


def test_during_a_rotation_both_secrets_count() -> None:
    """Reports signed with the old or the new secret are accepted."""
    site, body = Site(OTHER_SECRET, SECRET), b'{"state": "running"}'
    assert site.post(body, signed(body)).status_code == site.post(body, signed(body, OTHER_SECRET)).status_code == 200


def test_a_report_taken_down_does_not_count_for_another_request() -> None:
    """The URL is unsigned, so webhook-id or the body must name the request."""
    site = Site(SECRET)
    plain, named = b'{"state": "succeeded"}', json.dumps({"state": "succeeded", "id": ID}).encode()
    for message_id in (f"{OTHER_ID}-1", "msg_1"):
        answer = site.post(plain, signed(plain, message_id=message_id))
        assert (answer.status_code, "does not cover this request" in answer.json()["detail"]) == (401, True)
    assert site.commands.reports == []
    assert site.post(named, signed(named, message_id="msg_1")).status_code == 200


def test_an_id_in_the_body_must_be_the_one_of_the_url() -> None:
    """This holds with and without a signature."""
    answer = Site().post({"state": "running", "id": OTHER_ID})
    assert (answer.status_code, answer.json()["detail"]) == (400, "the id in the body differs from the id in the URL")


@pytest.mark.parametrize("problem", [NetError("no such file", "credential"), ValueError("a signing secret is ...")])
def test_an_unreadable_secret_is_a_503_with_retry_after(problem: Exception) -> None:
    """Unsigned reports are not accepted instead."""
    site = Site()
    site.secrets = problem
    answer = site.post()
    assert (answer.status_code, answer.headers["retry-after"], site.commands.reports) == (503, "30", [])


def test_only_json_is_taken() -> None:
    """An HTML form is refused."""
    assert Site().post(headers={"content-type": "text/plain"}).status_code == 415
    assert Site().post(headers={"content-type": "Application/JSON; charset=utf-8"}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000, b'{"state": "running", "message": "\\ud800"}', b'{"state": "running", "message": 5}',
        b'{"state": "running", "at": "2026-03-01T12:00:00"}', b'{"state": "missed"}', b'{"state": "running"',
        b'{"state": "running", "x": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_used_is_a_400(body: bytes) -> None:
    """Too deep, truncated, of the wrong type, without a time zone, or an internal state."""
    site = Site()
    assert site.post(body).status_code == 400
    assert site.commands.reports == []


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"[]", "the body must be a JSON object with a state, not a list"),
        (b'{"state": 3}', "state: must be text, not a number"),
        (b'{"state": null}', "state: is missing; one of accepted, "),
        (b'{"state": "succeded"}', "state: unknown state 'succeded'; did you mean 'succeeded'?"),
        (b'{"state": "running", "reference": []}', "reference: must be text, not a list"),
    ],
)
def test_an_invalid_report_is_explained(body: bytes, detail: str) -> None:
    """What is wrong, where, and what would be right."""
    answer = Site().post(body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(detail)


def test_what_is_not_known_is_passed_over_and_long_texts_are_cut() -> None:
    """Coordinators may send additional fields."""
    site = Site()
    body = {"state": "running", "message": "m" * 9000, "reference": None, "extra": [1], "at": "1969-01-01T00:00:00Z"}
    assert site.post(body).status_code == 200
    (report,) = site.commands.reports
    assert (report.message, report.reference, report.at) == ("m" * 4096, "", 1)


def test_a_nul_in_a_report_is_replaced() -> None:
    """PostgreSQL cannot store it: the report would be refused and repeated for ever."""
    site = Site()
    assert site.post({"state": "failed", "message": "a\0b"}).status_code == 200
    assert site.commands.reports[-1].message == "a\ufffdb"


def test_an_end_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    """A different final state is a conflict; a repeated or late report is not."""
    site = Site()
    ended = structs.replace(REQUEST, state=RequestState.SUCCEEDED)
    monkeypatch.setattr(site.commands, "report_status", lambda report: ended)
    answer = site.post({"state": "failed"})
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "the request has already ended as succeeded",
    )
    for state in ("succeeded", "running"):
        assert site.post({"state": state}).json()["data"] == {"id": ID, "state": "succeeded"}


def test_a_report_on_a_request_that_does_not_exist_is_a_404() -> None:
    """The body is problem details."""
    assert Site().post(request_id=OTHER_ID).status_code == 404


def test_a_command_that_cannot_be_carried_out_is_a_409(monkeypatch: pytest.MonkeyPatch) -> None:
    """The response gives the reason."""

    def refused(*_: object) -> None:
        raise RequestError("it was withdrawn")

    site = Site()
    monkeypatch.setattr(site.commands, "redrive", refused)
    answer = site.http.post(f"/api/v1/requests/{ID}/redrive")
    assert (answer.status_code, answer.json()["status"], answer.json()["detail"]) == (409, 409, "it was withdrawn")
