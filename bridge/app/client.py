"""Speaks the API of a running bridge, for the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bridge.domain.errors import BridgeError
from bridge.net.http_config import HttpConfig
from bridge.net.session import NetError, call, open_session

DEADLINE = 10.0
MAX_ANSWER = 16 * 1024 * 1024


class ApiError(BridgeError):
    """The bridge could not be reached, or refused."""


def ask(url: str, path: str, method: str = "GET") -> Any:
    """The `data` of an answer in Prometheus' envelope. ApiError says what the bridge said."""
    status, body = _call(url, path, method)
    try:
        answer = json.loads(body)
        data = answer.get("data")
    except (ValueError, AttributeError):
        raise ApiError(f"{url} does not answer as a bridge does (HTTP {status})") from None
    if status >= 400:
        raise ApiError(f"{url}: {answer.get('error', 'refused')} (HTTP {status})")
    return data


def ready(url: str) -> str:
    """Why the server at `url` is not ready; "" when it is."""
    try:
        status, body = _call(url, "/-/ready", "GET")
    except ApiError as error:
        return str(error)
    return "" if status == 200 else f"{url} is not ready: {body.decode(errors='replace').strip()}"


def _call(url: str, path: str, method: str) -> tuple[int, bytes]:
    with open_session(HttpConfig(), Path()) as session:
        try:
            answer = call(session, method, url.rstrip("/") + path, deadline=DEADLINE, max_bytes=MAX_ANSWER)
        except NetError as error:
            raise ApiError(f"no bridge at {url}: {error}") from None
    return answer.status, answer.body
