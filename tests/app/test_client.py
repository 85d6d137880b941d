"""Client of a bridge's API, against a receiver on a real socket."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bridge.app import client
from bridge.app.client import Access, ApiError, call_api, ready
from bridge.domain import waits
from bridge.domain.errors import ConfigError
from bridge.net.session import Answer
from tests.support.processes import free_port
from tests.support.receiver import Raw, Receiver, Reply


def answer(code: int, **body: object) -> Reply:
    return Reply(code, json.dumps(body).encode(), {"Content-Type": "application/json"})


def test_call_api_returns_the_data_of_the_answer() -> None:
    with Receiver(answer(200, status="success", data={"requests": []})) as bridge:
        assert call_api(Access(f"{bridge.url}/"), "/api/v1/requests") == {"requests": []}
        (request,) = bridge.requests
    assert (request.method, request.path, request.body) == ("GET", "/api/v1/requests", b"")


def test_call_api_posts_a_body_as_json() -> None:
    with Receiver(answer(200, data=None)) as bridge:
        assert call_api(Access(bridge.url), "/api/v1/pause", "POST", {"project": "shop"}) is None
        (request,) = bridge.requests
    assert (request.method, request.json()) == ("POST", {"project": "shop"})
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (answer(404, detail="there is no request 'x'"), r"there is no request 'x' \(HTTP 404\)"),
        (answer(500), r"request refused \(HTTP 500\)"),
        (Reply(503, b"retrain-bridge is not ready: it starts\n"), r"not ready: it starts \(HTTP 503\); try again"),
        (Reply(200, b"<html>"), r"is not a retrain-bridge API \(HTTP 200\)"),
        (Reply(200, b"[1]"), r"is not a retrain-bridge API \(HTTP 200\)"),
        (Reply(200, b"[" * 100_000), r"is not a retrain-bridge API \(HTTP 200\)"),
        (Raw(b""), "no bridge at http://127.0.0.1"),
    ],
)
def test_call_api_raises_api_error(reply: Reply | Raw, message: str) -> None:
    with Receiver(reply) as bridge, pytest.raises(ApiError, match=message):
        call_api(Access(bridge.url), "/api/v1/requests/x")


def test_an_answer_of_another_api_is_an_error() -> None:
    """A Prometheus answers /api/v1/rules, too, with other keys."""
    with Receiver(answer(200, status="success", data={"groups": [{"name": "g"}]})) as bridge:
        (group,) = call_api(Access(bridge.url), "/api/v1/rules")["groups"]
        assert group.get("file") is None
        with pytest.raises(ApiError, match="is not a retrain-bridge API: its answer has no 'file'"):
            group["file"]


def test_call_api_names_the_address_that_is_not_reached() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ApiError, match=f"no bridge at {url}"):
        call_api(Access(url), "/api/v1/status")


@pytest.mark.parametrize("path", ["/api/v1/explain", "/api/v1/models"])
def test_call_api_waits_longer_than_a_server_may_take(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    waited: list[float] = []

    def take(*_: object, deadline: float, **__: object) -> Answer:
        waited.append(deadline)
        return Answer(200, {}, b'{"data": 1}', truncated=False)

    monkeypatch.setattr(client, "call", take)
    assert call_api(Access("http://x"), path) == 1
    assert waited == [waits.of_client("GET", path)]


def test_ready_is_empty_or_the_reason() -> None:
    with Receiver(Reply(200, b"ready"), Reply(503, b"the store is lost\n")) as bridge:
        assert ready(Access(bridge.url)) == ""
        assert ready(Access(bridge.url)) == f"{bridge.url} is not ready: the store is lost"
    url = f"http://127.0.0.1:{free_port()}"
    assert ready(Access(url)) == f"no bridge at {url}: Connection refused"


@pytest.mark.parametrize("url", ["localhost:9095", "http://", "http://:9095", "http://x:99999", "http://[x"])
def test_access_refuses_an_invalid_url(url: str) -> None:
    with pytest.raises(ApiError, match=re.escape(f"{url!r} must be an http or https URL")):
        Access.of(url, None)


def test_access_reads_http_config_relative_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2")
    (tmp_path / "http.yml").write_text("basic_auth: {username: ada, password_file: password}")
    with Receiver(answer(200, data={})) as bridge:
        call_api(Access.of(bridge.url, tmp_path / "http.yml"), "/api/v1/status")
        (request,) = bridge.requests
    assert request.headers["authorization"] == "Basic YWRhOmh1bnRlcjI="


def test_access_reports_every_error_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "http.yml").write_text("basic_auht: {}\nfollow_redirects: maybe\n")
    with pytest.raises(ConfigError) as raised:
        Access.of("http://127.0.0.1:9095", tmp_path / "http.yml")
    assert [problem.line for problem in raised.value.problems] == [1, 2]
