"""Checks of receivers: presets that were not run against a real server, and tests that start nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from bridge.config import load
from bridge.domain.errors import ConfigError, Problem
from bridge.domain.times import Timestamp
from bridge.files.yaml import Document, KeyPath, path_text
from bridge.ports import Testable
from bridge.sinks.base import SinkContext
from bridge.sinks.registry import sinks
from bridge.sinks.runs.config import RunConfig
from bridge.sinks.runs.presets import presets


def unproven_presets(found: load.Examined) -> Iterator[Problem]:
    """Yield a warning for each entry whose preset was not run against a real server."""
    for path, _, _, _, entry in _entries(found):
        preset = presets().get(entry.preset) if isinstance(entry, RunConfig) else None
        if preset is not None and not preset.proven and found.document is not None:
            message = f"preset {preset.name} was written from {preset.follows}, and tested against a stub only"
            hint = "try it with send-test --dry-run, then send-test"
            yield _problem(found.document, (*path, "preset"), message, hint, "unproven-preset")


def ask_receivers(path: Path, now: Timestamp) -> list[Problem]:
    """Return what is wrong with the targets and credentials of receivers that can be tested without a request.

    Raises ConfigError.
    """
    found = load.examine(path)
    if found.config is None or found.document is None:
        raise ConfigError(found.problems)
    problems: list[Problem] = []
    for place, receiver, integration, index, entry in _entries(found):
        sink = sinks()[integration](entry, SinkContext(receiver, index, base_dir=found.config.base_dir))
        try:
            texts = sink.problems(now) if isinstance(sink, Testable) else ()
        finally:
            sink.close()
        problems += [_problem(found.document, place, text, "", "") for text in texts]
    return problems


def _entries(found: load.Examined) -> Iterator[tuple[KeyPath, str, str, int, BaseModel]]:
    """Yield path, receiver, integration, index and configuration of every entry of every receiver."""
    for number, (receiver, entries) in enumerate(found.config.receivers.items() if found.config is not None else ()):
        counted: dict[str, int] = {}
        for integration, entry in entries:
            index = counted.get(integration, 0)
            counted[integration] = index + 1
            yield ("receivers", number, f"{integration}_configs", index), receiver, integration, index, entry


def _problem(document: Document, path: KeyPath, message: str, hint: str, lint: str) -> Problem:
    return Problem(document.file, document.line(path), path_text(path), message, hint, lint)
