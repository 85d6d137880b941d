"""The reference of the configuration is what the schemas say, and the schemas are what reads the files."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bridge.authoring.check.schema import schema
from bridge.strategies.registry import strategies
from tests.support.pages import ROOT


@pytest.fixture
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "configuration_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_committed_is_what_is_generated(generator: ModuleType) -> None:
    """Else: python scripts/configuration_reference.py."""
    assert generator.PAGE.read_text(encoding="utf-8") == generator.reference()


def test_a_change_of_the_schemas_is_noticed(
    generator: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A new key, and a default that moved."""

    def changed(kind: str) -> dict[str, Any]:
        found = schema(kind)
        if kind == "config":
            found["$defs"]["GlobalSection"]["properties"]["query_offset"]["default"] = "31s"
        return found

    monkeypatch.setattr(generator, "schema", changed)
    assert "query_offset: <duration> | default = 31s" in generator.reference()
    monkeypatch.setattr(sys, "argv", ["reference", "--check"])
    assert generator.main() == 1
    assert "is out of date" in capsys.readouterr().out


def test_every_key_of_every_file_is_in_the_reference(generator: ModuleType) -> None:
    """With no type that the generator does not know; every section that is named is there; every strategy too."""
    text = generator.reference()
    for kind in ("config", "rules"):
        for name, section in schema(kind)["$defs"].items():
            for key in section.get("properties", {}):
                assert re.search(rf"^\W*{re.escape(key)}: ", text, re.MULTILINE) or f"{key}:\n" in text, (name, key)
    named = set(re.findall(r"<(\w+)>", "\n".join(re.findall(r"```text\n(.*?)```", text, re.DOTALL))))
    there = set(re.findall(r"^### `<(\w+)>`", text, re.MULTILINE))
    plain = {"string", "integer", "number", "boolean", "duration", "value", "rate", "secret", "strategy", "any"}
    assert named - there - plain == set()
    assert {name for name, found in strategies().items() if found.Config.model_fields} <= there


def test_types_are_those_that_the_files_accept(generator: ModuleType) -> None:
    """Durations, limits in the signal's unit, plain numbers, unions, choices, and the guide of a section."""
    text = generator.reference()
    for line in (
        "lead_time: <duration>",
        "[ history: <duration> ]",
        "[ cooldown: <duration> | <cooldown> ]",
        "[ clear: <value> ]",
        "retraining_cost: <number>",
        "[ version: <string> | { const: <string> } ]",
        "[ min_version: TLS10 | TLS11 | TLS12 | TLS13 ]",
        "[ weekdays: [ <string>, ... ] ]",
        "[Guide](strategies/auto.md).",
        "[Guide](sinks/run.md).",
    ):
        assert f"\n{line}\n" in text, line
