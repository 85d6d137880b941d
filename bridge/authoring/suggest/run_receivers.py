"""Receivers to choose from: an entry of `run_configs` for each orchestrator."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.sinks.runs.presets import presets

PLACEHOLDER_URL = "http://localhost"


def run_receivers() -> Mapping[str, str]:
    """Return the title of each orchestrator -> a line of bridge.yml, whose words in capitals the user replaces."""
    lines = {}
    for preset in presets().values():
        url = preset.entry.get("url", PLACEHOLDER_URL)
        target = ", ".join(f"{key}: {key.upper()}" for key in preset.target)
        lines[preset.title] = f"run_configs: [{{preset: {preset.name}, url: {url}, target: {{{target}}}}}]"
    return lines
