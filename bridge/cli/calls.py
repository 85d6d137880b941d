"""Calls of a running bridge's API by the commands."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bridge.cli.quick import URL_VARIABLE


def get(url: str, http_config: Path | None, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """Return the data of a path under /api/v1. parameters: those that are empty are left out. Raises ApiError."""
    query = urlencode({name: value for name, value in (parameters or {}).items() if value}, doseq=True)
    return _called(url, http_config, path + (f"?{query}" if query else ""))


def post(url: str, http_config: Path | None, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Post to a path under /api/v1 and return the data of the answer. Raises ApiError."""
    return _called(url, http_config, path, "POST", *([] if body is None else [dict(body)]))


def _called(url: str, http_config: Path | None, path: str, *call: Any) -> Any:
    """Return the data of a call. call: method and body. Raises ApiError, which says how to name the bridge."""
    from bridge.app.client import Access, ApiError, UnreachableError, call_api

    try:
        return call_api(Access.of(url, http_config), f"/api/v1/{path}", *call)
    except UnreachableError as error:
        raise ApiError(f"{error}; set --bridge.url or the environment variable {URL_VARIABLE}") from None


def user() -> str:
    """Return the login name, "" if the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no entry for the user id
        return ""
