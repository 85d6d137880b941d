"""Adapters of one configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.app.adapters import build_adapters, silence_targets
from bridge.config.load import BridgeConfig, load
from bridge.domain.model import ModelTable
from bridge.ports import SilenceSnapshot
from bridge.store.memory import MemoryStore

TEXT = """
prometheus: {url: http://localhost:1}
global: {query_timeout: 7s}
route: {receiver: team}
receivers:
- name: team
  webhook_configs: [{url: "http://localhost:2"}]
  alertmanager_configs: [{url: "http://localhost:3"}]
- name: other
  alertmanager_configs: [{url: "http://localhost:4"}, {url: "http://localhost:5"}]
"""


@pytest.fixture
def config(tmp_path: Path) -> BridgeConfig:
    (tmp_path / "bridge.yml").write_text(TEXT)
    return load(tmp_path / "bridge.yml")


def test_sinks_are_named_by_their_destination(config: BridgeConfig) -> None:
    """The source has the timeout of the configuration; closing ends every session."""
    table = ModelTable()
    known = SilenceSnapshot(fetched_at=5)
    adapters = build_adapters(config, table, "http://bridge", MemoryStore(), known)
    try:
        assert sorted(adapters.sinks) == [
            "other/alertmanager/0", "other/alertmanager/1", "team/alertmanager/0", "team/webhook/0",
        ]  # fmt: skip
        assert (adapters.config, adapters.silences.snapshot()) == (config, known)
    finally:
        adapters.close()


def test_silences_are_read_from_every_alertmanager(config: BridgeConfig) -> None:
    """Those of all receivers, in order, and of nothing else."""
    assert [target.url for target in silence_targets(config)] == [
        "http://localhost:3", "http://localhost:4", "http://localhost:5",
    ]  # fmt: skip
