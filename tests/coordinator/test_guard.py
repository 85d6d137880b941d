"""Access control, and clients that are slow, broken or unknown."""

from __future__ import annotations

import base64
import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from bridge.net import request_body
from tests.coordinator.conftest import Start
from tests.support.coordinator import ID, OTHER_SECRET, REQUESTS, SECRET, TOKEN, alert, an_id, body


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-origin"}]
)
def test_a_browser_page_cannot_write(start: Start, headers: dict[str, str]) -> None:
    """Not even with a host name that was rebound to this address."""
    _, client = start()
    assert client.submit(headers=headers).status_code == 403
    assert client.notify(alert(), headers=headers).status_code == 403
    assert client.cancel(headers=headers).status_code == 403
    assert client.call("GET", REQUESTS, headers=headers).json()["total"] == 0


def test_a_name_that_a_page_pointed_here_is_refused(start: Start) -> None:
    """The port is not part of the name; health checks and metrics are served under any name."""
    _, client = start(allowed_hosts=["coordinator"])
    for path, status in ((REQUESTS, 421), ("/-/healthy", 200), ("/-/ready", 200), ("/metrics", 200)):
        assert client.call("GET", path, headers={"Host": "evil.example"}).status_code == status
    answer = client.submit(headers={"Host": "evil.example"})
    assert (
        answer.json()["detail"] == "the host name 'evil.example' is not served here; allow it with --web.allowed-host"
    )
    assert client.call("GET", REQUESTS).json()["total"] == 0
    assert client.submit(headers={"Host": "Coordinator:8090"}).status_code == 202


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n{OTHER_SECRET}\n")
    return path


def signed(secret: str, content: str, *, message_id: str = ID, age: int = 0) -> dict[str, str]:
    """Return the headers of the reference implementation."""
    seconds = int(datetime.now(UTC).timestamp()) - age
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": Webhook(secret).sign(message_id, datetime.fromtimestamp(seconds, UTC), content),
        "Content-Type": "application/json",
        "Idempotency-Key": ID,
    }


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
def test_a_signed_request_passes_with_each_of_the_secrets(start: Start, secret_file: Path, secret: str) -> None:
    """Two secrets: one is being replaced by the other."""
    _, client = start(secret_file=secret_file)
    text = json.dumps(body())
    assert client.call("POST", REQUESTS, data=text, headers=signed(secret, text)).status_code == 202


WRONG: dict[str, dict[str, Any]] = {
    "another secret": {"secret": "whsec_" + base64.b64encode(b"x" * 32).decode()},
    "another body": {"content": "{}"},
    "an old signature": {"age": 6 * 60},
    "a signature from the future": {"age": -6 * 60},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_signature_is_401_and_writes_nothing(start: Start, secret_file: Path, change: dict[str, Any]) -> None:
    _, client = start(secret_file=secret_file)
    text = json.dumps(body())
    headers = signed(**{"secret": SECRET, "content": text, **change})
    answer = client.call("POST", REQUESTS, data=text, headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert client.call("GET", REQUESTS).json()["total"] == 0


def test_the_response_to_an_unsigned_call_names_the_requirement(
    start: Start, secret_file: Path, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    _, client = start(secret_file=secret_file, token_file=token)
    answer = client.submit()
    assert answer.status_code == 401
    assert answer.json()["detail"] == "sign the call (Standard Webhooks) or send the bearer token"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert client.notify(alert(), headers={"Authorization": "Bearer " + TOKEN[:-1] + "0"}).status_code == 401
    assert client.notify(alert(), headers={"Authorization": "Bearer " + TOKEN}).json()["accepted"] == [ID]
    assert client.cancel().status_code == 401
    assert client.cancel(headers={"Authorization": "bearer " + TOKEN}).status_code == 200


def test_without_a_token_only_a_signature_helps(start: Start, secret_file: Path) -> None:
    _, client = start(secret_file=secret_file)
    answer = client.notify(alert(), headers={"Authorization": "Bearer "})
    assert (answer.status_code, answer.json()["detail"]) == (401, "sign the call (Standard Webhooks)")
    assert "WWW-Authenticate" not in answer.headers


def test_a_signed_cancellation_is_for_one_request(start: Start, secret_file: Path) -> None:
    """Its body is empty, so the signed webhook-id identifies the request."""
    _, client = start(secret_file=secret_file)
    for number in (1, 2):
        text = json.dumps(body(an_id(number)))
        headers = {**signed(SECRET, text), "Idempotency-Key": an_id(number)}
        assert client.call("POST", REQUESTS, data=text, headers=headers).status_code == 202
    headers = signed(SECRET, "", message_id=an_id(1))
    answer = client.cancel(an_id(2), headers)
    assert answer.status_code == 401
    assert answer.json()["detail"] == "the signature is for another call: webhook-id must be the id of the request"
    assert client.cancel(an_id(1), headers).status_code == 200


def test_a_secret_is_read_at_every_use(start: Start, secret_file: Path) -> None:
    """Rotation needs no restart, and without the file every call is refused."""
    _, client = start(secret_file=secret_file)
    text = json.dumps(body())
    secret_file.write_text(OTHER_SECRET)
    assert client.call("POST", REQUESTS, data=text, headers=signed(SECRET, text)).status_code == 401
    secret_file.write_text("rubbish")
    assert client.call("POST", REQUESTS, data=text, headers=signed(OTHER_SECRET, text)).status_code == 503
    secret_file.unlink()
    answer = client.call("POST", REQUESTS, data=text, headers=signed(OTHER_SECRET, text))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


def raw_call(url: str, head: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.sendall(head.replace("\n", "\r\n").encode())
    return connection


HEAD = f"POST {REQUESTS} HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\nContent-Length: 100\n\n{{"


def test_a_body_that_does_not_come_is_408(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_SECONDS", 0.1)
    _, client = start()
    with raw_call(client.url, HEAD) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_caller_that_goes_away_harms_no_other(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    _, client = start()
    with raw_call(client.url, HEAD):
        pass
    assert client.submit().status_code == 202
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
