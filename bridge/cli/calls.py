"""Calls of a running bridge's API by the commands."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode


def get(url: str, http_config: Path | None, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """Return the data of a path under /api/v1. parameters: those that are empty are left out. Raises ApiError."""
    from bridge.app.client import Access, call_api

    query = urlencode({name: value for name, value in (parameters or {}).items() if value}, doseq=True)
    return call_api(Access.of(url, http_config), f"/api/v1/{path}" + (f"?{query}" if query else ""))


def post(url: str, http_config: Path | None, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Post to a path under /api/v1 and return the data of the answer. Raises ApiError."""
    from bridge.app.client import Access, call_api

    access = Access.of(url, http_config)
    return call_api(access, f"/api/v1/{path}", "POST", *([] if body is None else [dict(body)]))


def user() -> str:
    """Return the login name, "" if the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no entry for the user id
        return ""
