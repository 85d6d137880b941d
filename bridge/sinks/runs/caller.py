"""Calls to one orchestrator: rendered requests, and the login."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from bridge.net.files import read_text
from bridge.net.session import Answer, NetError
from bridge.sinks.runs.calls import Call, LoginCall
from bridge.sinks.runs.expression import decoded, find, find_text
from bridge.sinks.runs.template import Variables, render, render_path, render_text

LARGEST = 16 << 20  # bytes of a response
Attempt = Callable[..., Answer]


@dataclass(frozen=True, slots=True)
class Rendered:
    """Request without credentials. data: None = no body."""

    method: str
    path: str
    headers: Mapping[str, str]
    data: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the request as JSON types."""
        return {"method": self.method, "path": self.path, "headers": dict(self.headers), "data": self.data}


def rendered(call: Call, variables: Variables) -> Rendered:
    """Return the request of a call."""
    headers = {name: render_text(text, variables) for name, text in call.headers.items()}
    data: str | None = None
    if call.body is not None:
        data = msgspec.json.encode(render(call.body, variables)).decode()
        headers = {"Content-Type": "application/json", **headers}
    elif call.form:
        data = urlencode({name: render_text(text, variables) for name, text in call.form.items()})
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return Rendered(call.method, render_path(call.path, variables), {"Accept": "application/json", **headers}, data)


def succeeded(call: Call, answer: Answer) -> bool:
    """Return whether the response means success."""
    if not (answer.status in call.success if call.success else 200 <= answer.status < 300):
        return False
    return not call.success_if or _holds(call.success_if, answer)


def refused(call: Call, answer: Answer) -> bool:
    """Return whether the body says that the server refuses the call for good."""
    return bool(call.refused_if) and _holds(call.refused_if, answer)


def _holds(expression: str, answer: Answer) -> bool:
    return find(expression, decoded(answer.body)) not in (None, False, "")


class LoginError(Exception):
    """Refused login. answer: the server's response. token: expression that found no token in it, "" = not tried."""

    def __init__(self, answer: Answer, token: str = "") -> None:
        super().__init__(f"login: HTTP {answer.status}" + (f", and no token at {token!r}" if token else ""))
        self.answer = answer


class Caller:
    """Caller of one orchestrator. attempt: makes one HTTP request. Thread-safe."""

    def __init__(self, attempt: Attempt, url: str, login: LoginCall | None, base_dir: Path) -> None:
        self._attempt = attempt
        self._url = url
        self._login = login
        self._base_dir = base_dir
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def call(self, call: Call, variables: Variables) -> Answer:
        """Render a call and make it. Raises NetError, LoginError."""
        return self.send(rendered(call, variables))

    def send(self, request: Rendered) -> Answer:
        """Make a request; after a 401 or 403 log in again and repeat it once. Raises NetError, LoginError."""
        token = self._fresh("")
        answer = self._once(request, token)
        if answer.status in {401, 403} and self._login is not None:  # Airflow answers 403 to an expired token
            answer = self._once(request, self._fresh(token))
        return answer

    def log_in(self) -> None:
        """Log in, if there is a login and no token. Raises NetError, LoginError."""
        self._fresh("")

    def _once(self, request: Rendered, token: str) -> Answer:
        headers = {**request.headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        data = None if request.data is None else request.data.encode()
        return self._attempt(request.method, self._url + request.path, data=data, headers=headers, max_bytes=LARGEST)

    def _fresh(self, refused: str) -> str:
        """Return a token, "" without a login. refused: token that the server did not accept."""
        if self._login is None:
            return ""
        with self._lock:
            if not self._token or time.monotonic() >= self._until or self._token == refused:
                self._token = ""
                self._token = self._log_in(self._login)
                self._until = time.monotonic() + self._login.ttl / 1000
            return self._token

    def _log_in(self, login: LoginCall) -> str:
        username = self._read(login.username, login.username_file, "username_file")
        password = self._read(login.password.reveal(), login.password_file, "password_file")
        request = rendered(login, {"Username": username, "Password": password})
        try:
            answer = self._once(request, "")
        except NetError as error:
            raise NetError(f"login: {error}", error.reason, sent=False) from None
        if not succeeded(login, answer):
            raise LoginError(answer)
        token = find_text(login.token, decoded(answer.body))
        if not token:
            raise LoginError(answer, login.token)
        return token

    def _read(self, text: str, file: str, key: str) -> str:
        if not file:
            return text
        try:
            return read_text(self._base_dir / file).strip()
        except OSError as error:
            raise NetError(f"cannot read login.{key}: {error.strerror}", "credential", sent=False) from None
