"""Calls of a running bridge's API by the commands, and the names that it knows."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bridge.domain.errors import BridgeError

CANDIDATES = 1000  # models or requests to look for a name in
PARTS = ("project", "pipeline", "version")
ID_LENGTH = 32  # hexadecimal digits
SHORT_ID = re.compile(r"[0-9a-f]{4,}")


class UnknownNameError(BridgeError):
    """Model or rule that the bridge does not know."""


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


def model_name(entry: Mapping[str, Any]) -> str:
    """Return PROJECT/PIPELINE/VERSION of an entry of the API."""
    return f"{entry['project']}/{entry['pipeline']}/{entry['version']}"


def model_of(text: str, options: tuple[str, str, str]) -> dict[str, str]:
    """Return project, pipeline and version of PROJECT/PIPELINE/VERSION, or of the options. Raises BadParameter."""
    import typer

    if text and any(options):
        raise typer.BadParameter("name the model either as PROJECT/PIPELINE/VERSION or with the options")
    parts = tuple(text.split("/")) if text else options
    if len(parts) != len(PARTS) or not all(parts):
        raise typer.BadParameter(
            "name the model as PROJECT/PIPELINE/VERSION, or with --project, --pipeline and --version, "
            "which also accept names with slashes"
        )
    return dict(zip(PARTS, parts, strict=True))


def full_id(url: str, http_config: Path | None, text: str) -> str:
    """Return the id of the request that begins with a text; a text of another form is returned as it is.

    Raises UnknownNameError if no request, or several, among the latest ones begin with it.
    """
    if len(text) >= ID_LENGTH or not SHORT_ID.fullmatch(text):
        return text
    ids: list[str] = [item["id"] for item in get(url, http_config, "requests", {"limit": CANDIDATES})["requests"]]
    found = [one for one in ids if one.startswith(text)]
    if len(found) != 1:
        names = f": {', '.join(found[:5])}" if found else ""
        raise UnknownNameError(f"{len(found) or 'none'} of the latest {len(ids)} requests begin with {text!r}{names}")
    return found[0]


def require_model(url: str, http_config: Path | None, model: Mapping[str, str], advice: str = "") -> None:
    """Raise UnknownNameError with near names if the bridge neither lists nor remembers a model.

    model: project, pipeline and version.
    advice: what else the user can do.
    """
    if get(url, http_config, "models", {**model, "limit": 1})["models"]:
        return
    if get(url, http_config, "decisions", {**model, "limit": 1})["decisions"]:
        return  # it was replaced or retired
    name = model_name(model)
    listed = get(url, http_config, "models", {"limit": CANDIDATES})["models"]
    raise UnknownNameError(f"no signal has reported a model {name!r}{_hint(name, map(model_name, listed))}{advice}")


def require_rule(url: str, http_config: Path | None, rule: str) -> None:
    """Raise UnknownNameError with near names if the bridge has no rule of that name."""
    groups = get(url, http_config, "rules", {"exclude_alerts": "true"})["groups"]
    names = {item["name"] for group in groups for item in group["rules"]}
    if rule not in names:
        raise UnknownNameError(f"there is no rule {rule!r}{_hint(rule, names)}")


def _hint(name: str, known: Iterable[str]) -> str:
    import difflib

    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, 3, 0.6)
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; known are: {', '.join(names[:10])}{' ...' if len(names) > 10 else ''}" if names else "; none is known"
