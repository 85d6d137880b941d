"""Client of a running bridge's API, for the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.domain import waits
from bridge.domain.errors import BridgeError, ConfigError
from bridge.files.validation import checked
from bridge.files.yaml import read
from bridge.net.hosts import is_http_url
from bridge.net.http_config import HttpConfig
from bridge.net.session import NetError, call, open_session

NOT_READY = b"retrain-bridge is not ready"  # beginning of a bridge's answer while it starts
MAX_ANSWER = 16 * 1024 * 1024


class ApiError(BridgeError):
    """Error from the API of a bridge, or failure to reach it."""


class UnreachableError(ApiError):
    """No answer from the address of the bridge."""


@dataclass(frozen=True, slots=True)
class Access:
    """Address of a server and its http_config. base_dir: folder that relative paths in `config` start from."""

    url: str
    config: HttpConfig = field(default_factory=HttpConfig)
    base_dir: Path = Path()

    @staticmethod
    def of(url: str, file: Path | None) -> Access:
        """Return the access with the http_config of a file, as for amtool. Raises ConfigError and ApiError."""
        if not is_http_url(url):
            raise ApiError(f"{url!r} must be an http or https URL, for example http://127.0.0.1:9095")
        if file is None:
            return Access(url)
        document = read(file)
        config = checked(HttpConfig, document.value or {}, document, ())
        if config is None:
            raise ConfigError(document.problems)
        return Access(url, config, file.parent)


class _Object(dict[str, Any]):
    """JSON object of an answer; a missing key is an ApiError: another server may answer the same path.

    url: of the server.
    """

    def __init__(self, url: str, pairs: dict[str, Any]) -> None:
        super().__init__(pairs)
        self._url = url

    def __missing__(self, key: str) -> Any:
        """Raise ApiError."""
        raise ApiError(f"{self._url} is not a retrain-bridge API: its answer has no {key!r}")


def call_api(access: Access, path: str, method: str = "GET", body: Any = None) -> Any:
    """Call the API and return the `data` of the answer. Raises ApiError with the bridge's error."""
    url = access.url
    status, text = _call(access, path, method, waits.of_client(method, path), body)
    try:
        answer = json.loads(text, object_hook=lambda pairs: _Object(url, pairs))
        data = answer.get("data")
    except (ValueError, AttributeError, RecursionError):
        if text.startswith(NOT_READY):
            raise ApiError(f"{url}: {text.decode(errors='replace').strip()} (HTTP {status}); try again") from None
        raise ApiError(f"{url} is not a retrain-bridge API (HTTP {status})") from None
    if status >= 400:
        raise ApiError(f"{url}: {answer.get('detail', 'request refused')} (HTTP {status})")
    return data


def ready(access: Access) -> str:
    """Return why the server is not ready, "" when it is."""
    try:
        status, body = _call(access, "/-/ready", "GET", waits.READY)
    except ApiError as error:
        return str(error)
    return "" if status == 200 else f"{access.url} is not ready: {body.decode(errors='replace').strip()}"


def _call(access: Access, path: str, method: str, deadline: float, body: Any = None) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        with open_session(access.config, access.base_dir) as session:
            answer = call(
                session,
                method,
                access.url.rstrip("/") + path,
                deadline=deadline,
                max_bytes=MAX_ANSWER,
                data=data,
                headers=headers,
                named=access.url,
            )
    except NetError as error:
        if error.reason == "network":
            raise UnreachableError(f"no bridge at {error}") from None
        raise ApiError(str(error)) from None
    return answer.status, answer.body
