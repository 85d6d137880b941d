"""Receivers that init and rules suggest offer."""

from __future__ import annotations

import pytest
import yaml

from bridge.authoring.suggest.run_receivers import run_receivers
from bridge.sinks.runs.config import RunConfig
from bridge.sinks.runs.presets import presets


@pytest.mark.parametrize("title", run_receivers())
def test_each_line_is_a_complete_entry(title: str) -> None:
    """Every required key of its target is there."""
    (entry,) = yaml.safe_load(run_receivers()[title])["run_configs"]
    config = RunConfig.model_validate(entry)
    assert presets()[config.preset].title == title
    assert set(presets()[config.preset].target) <= set(config.target)


def test_every_orchestrator_is_offered() -> None:
    """By its name for people."""
    assert set(run_receivers()) == {preset.title for preset in presets().values()}
