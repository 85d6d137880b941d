"""The presets are whole, and documented as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bridge.sinks.runs.config import RunConfig
from bridge.sinks.runs.presets import Preset, presets
from tests.sinks.conftest import STUBS

PAGE = Path(__file__).parents[3] / "docs" / "sinks" / "run.md"
KINDS = sorted(presets())


def entry(name: str, **changes: Any) -> dict[str, Any]:
    """An entry with every key that the preset needs."""
    target = dict.fromkeys(presets()[name].target, "x")
    return {"url": "http://localhost:1", "preset": name, "target": target, **changes}


def row(preset: Preset) -> str:
    """The preset's row of the documentation."""
    keys = [f"`{key}`" for key in preset.target] + [f"[`{key}`]" for key in preset.target_defaults]
    proven = preset.proven or "`unproven`"
    link = f"[{preset.title}]({preset.follows})"
    return f"| `{preset.name}` | {link} | {', '.join(keys)} | `{preset.entry['guarantee']}` | {proven} |"


def test_the_page_lists_every_preset() -> None:
    """With its guarantee, and what it was run against."""
    found = re.search(r"<!-- presets -->\n(.*?)\n<!-- /presets -->", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    assert found[1].splitlines()[2:] == [row(preset) for preset in presets().values()]


def test_every_preset_has_a_stub() -> None:
    """So the conformance suite covers it."""
    assert set(STUBS) == set(presets())


@pytest.mark.parametrize("name", KINDS)
def test_a_preset_is_whole(name: str) -> None:
    """It needs its target only."""
    config = RunConfig.model_validate(entry(name))
    assert config.cancel is not None
    assert config.find is not None
    assert config.guarantee == presets()[name].entry["guarantee"]
    assert (config.lookup is not None) or config.guarantee == "exact"


@pytest.mark.parametrize("name", KINDS)
def test_a_call_is_changed_key_by_key(name: str) -> None:
    """And removed by null."""
    config = RunConfig.model_validate(entry(name, status={"interval": "3s"}, cancel=None))
    assert config.status.interval == 3000
    assert config.status.path == presets()[name].entry["status"]["path"]
    assert config.cancel is None


def test_credentials_of_http_config_replace_the_login() -> None:
    """A token of a proxy or of a managed service."""
    assert RunConfig.model_validate(entry("airflow3")).login is not None
    basic = {"basic_auth": {"username": "u", "password": "p"}}
    assert RunConfig.model_validate(entry("airflow3", http_config=basic)).login is None
