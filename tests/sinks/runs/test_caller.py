"""Calls to one orchestrator: rendered requests, success, and the login."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.net.session import Answer, NetError
from bridge.sinks.runs.caller import Caller, LoginError, refused, rendered, succeeded
from bridge.sinks.runs.calls import Call, LoginCall

LOGIN = {"path": "/token", "json": {"u": "{{ .Username }}", "p": "{{ .Password }}"}, "token": "access", "ttl": "1h"}
CALL = {"path": "/runs/{{ .ID }}"}


def call(**keys: Any) -> Call:
    return Call.model_validate({**CALL, **keys})


def answer(status: int = 200, body: Any = None) -> Answer:
    return Answer(status, {}, b"" if body is None else json.dumps(body).encode())


class Server:
    """Attempts that answer from a list; the last answer is repeated."""

    def __init__(self, *answers: Answer | NetError) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, str, bytes | None, str | None]] = []

    def attempt(self, method: str, url: str, *, data: bytes | None, headers: dict[str, str], **_: Any) -> Answer:
        self.calls.append((method, url, data, headers.get("Authorization")))
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, NetError):
            raise found
        return found


def caller(server: Server, folder: Path = Path(), **login: Any) -> Caller:
    made = LoginCall.model_validate({**LOGIN, **login}) if login else None
    return Caller(server.attempt, "http://o", made, folder)


def test_a_body_is_json_or_a_form() -> None:
    """Values are quoted in each; a header of the entry replaces the default."""
    made = rendered(call(method="POST", json={"a": "{{ .ID }}"}), {"ID": 'x"/y'})
    assert (made.method, made.path, made.data) == ("POST", "/runs/x%22%2Fy", '{"a":"x\\"/y"}')
    assert made.headers == {"Accept": "application/json", "Content-Type": "application/json"}
    form = rendered(call(method="POST", form={"a": "{{ .ID }}"}, headers={"Accept": "text/{{ .ID }}"}), {"ID": "x&y"})
    assert form.data == "a=x%26y"
    assert form.headers == {"Accept": "text/x&y", "Content-Type": "application/x-www-form-urlencoded"}
    assert rendered(call(), {"ID": "x"}).data is None
    assert rendered(call(), {"ID": "x"}).to_json()["path"] == "/runs/x"


@pytest.mark.parametrize(
    ("keys", "given", "good"),
    [
        ({}, answer(204), True),
        ({}, answer(302), False),
        ({"success": [200]}, answer(201), False),
        ({"success_if": "id"}, answer(200, {"id": "x"}), True),
        ({"success_if": "id"}, answer(200, {"id": ""}), False),
        ({"success_if": "id"}, answer(200, {}), False),
        ({"success_if": "id"}, Answer(200, {}, b"<html>"), False),
        ({"success_if": "id"}, answer(500, {"id": "x"}), False),
    ],
)
def test_success_needs_the_status_and_the_body(keys: dict[str, Any], given: Answer, good: bool) -> None:
    assert succeeded(call(**keys), given) is good


def test_a_refusal_is_read_from_the_body() -> None:
    """Whatever the status is; without an expression nothing is a refusal."""
    assert refused(call(refused_if="error == 'no'"), answer(200, {"error": "no"}))
    assert not refused(call(refused_if="error == 'no'"), answer(400, {"error": "busy"}))
    assert not refused(call(), answer(400))


def test_the_token_is_fetched_once() -> None:
    server = Server(answer(200, {"access": "t1"}), answer(200))
    made = caller(server, username="ada", password="pw")
    made.call(call(), {"ID": "1"})
    made.call(call(), {"ID": "2"})
    assert server.calls[0] == ("POST", "http://o/token", b'{"u":"ada","p":"pw"}', None)
    assert [item[3] for item in server.calls[1:]] == ["Bearer t1", "Bearer t1"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_fetched_again_once(status: int) -> None:
    answers = [answer(200, {"access": "t1"}), answer(status), answer(200, {"access": "t2"}), answer(status)]
    server = Server(*answers)
    assert caller(server, username="ada").call(call(), {"ID": "1"}).status == status
    assert [item[3] for item in server.calls] == [None, "Bearer t1", None, "Bearer t2"]


def test_without_a_login_a_refusal_is_an_answer() -> None:
    server = Server(answer(401))
    assert caller(server).call(call(), {"ID": "1"}).status == 401
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [(answer(400), "login: HTTP 400"), (answer(200, {"other": 1}), "login: HTTP 200, and no token at 'access'")],
)
def test_a_failed_login_is_an_error(given: Answer, message: str) -> None:
    with pytest.raises(LoginError) as caught:
        caller(Server(given), username="ada").log_in()
    assert str(caught.value) == message


def test_an_unreachable_login_started_nothing() -> None:
    """The start call was not sent, even if the login's own outcome is unknown."""
    with pytest.raises(NetError, match="login: cut") as caught:
        caller(Server(NetError("cut", "network", sent=True)), username="ada").call(call(), {"ID": "1"})
    assert not caught.value.sent


def test_credentials_are_read_from_files_at_each_login(tmp_path: Path) -> None:
    """A missing file is an error of the credentials, without its path."""
    (tmp_path / "password").write_text("pw\n")
    server = Server(answer(200, {"access": "t1"}))
    caller(server, tmp_path, username="ada", password_file="password").log_in()
    assert server.calls[0][2] == b'{"u":"ada","p":"pw"}'
    with pytest.raises(NetError, match="cannot read login") as caught:
        caller(server, tmp_path, username_file="none").log_in()
    assert caught.value.reason == "credential"
