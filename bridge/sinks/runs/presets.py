"""Presets: one data file for each orchestrator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "presets"
CALLS = ("login", "find", "start", "lookup", "status", "statuses", "result", "cancel")
_LOGIN = frozenset({"basic_auth", "authorization", "oauth2"})


@dataclass(frozen=True, slots=True)
class Preset:
    """Calls of one orchestrator.

    title: name for people. proven: what it was run against, "" = nothing. follows: documentation that it follows.
    target: required keys -> meaning. target_defaults: optional keys -> value.
    entry: keys of `run_configs`.
    """

    name: str
    title: str
    proven: str
    follows: str
    target: Mapping[str, str]
    target_defaults: Mapping[str, Any] = field(default_factory=dict)
    entry: Mapping[str, Any] = field(default_factory=dict)


@cache
def presets() -> Mapping[str, Preset]:
    """Return the shipped presets by name."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.yml"))}


def _read(path: Path) -> Preset:
    entry: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    title, proven, follows = (entry.pop(key) for key in ("title", "proven", "follows"))
    return Preset(path.stem, title, proven, follows, entry.pop("target"), entry.pop("target_defaults", {}), entry)


def complete(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry with the keys of its preset; in calls key by key. `CALL: null` removes a call of the preset.

    Credentials in http_config replace the preset's login.
    """
    name = entry.get("preset")
    if not isinstance(name, str) or not name:
        return dict(entry)
    # An unknown name is one mistake: the calls of any preset stand in, so that no missing key is reported as well.
    preset = presets().get(name) or next(iter(presets().values()))
    result = {**preset.entry, **entry}
    http = entry.get("http_config")
    if "login" not in entry and isinstance(http, Mapping) and _LOGIN & set(http):
        result.pop("login", None)
    for call in CALLS:
        own, base = entry.get(call), preset.entry.get(call)
        if isinstance(own, Mapping) and isinstance(base, Mapping):
            result[call] = {**base, **own}
    return result
