"""Fetching of silences: only with an Alertmanager, and without a long wait at the start."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.app import silence_fetching
from bridge.app.adapters import Adapters
from bridge.app.silence_fetching import SilenceFetcher
from bridge.config.load import BridgeConfig, load

Json = dict[str, Any]
ALERTMANAGER: Json = {"alertmanager_configs": [{"url": "http://127.0.0.1:1"}]}
WEBHOOK: Json = {"webhook_configs": [{"url": "http://127.0.0.1:1"}]}


@dataclass
class Silences:
    """Records each fetch; waits for `gate` first."""

    gate: threading.Event = field(default_factory=threading.Event)
    fetched: list[int] = field(default_factory=list)

    def fetch(self, at: int) -> None:
        self.gate.wait(60)
        self.fetched.append(at)


@dataclass
class FakeAdapters:
    config: BridgeConfig
    silences: Silences


def fetcher(folder: Path, receiver: Json, silences: Silences) -> SilenceFetcher:
    config = {
        "prometheus": {"url": "http://127.0.0.1:1"}, "route": {"receiver": "team"},
        "receivers": [{"name": "team", **receiver}],
    }  # fmt: skip
    (folder / "bridge.yml").write_text(json.dumps(config))
    adapters = FakeAdapters(load(folder / "bridge.yml"), silences)
    return SilenceFetcher(lambda: cast("Adapters", adapters))


def test_fetch_reads_the_silences_of_an_alertmanager(tmp_path: Path) -> None:
    silences = Silences()
    silences.gate.set()
    before = time.time() * 1000
    fetcher(tmp_path, ALERTMANAGER, silences).fetch()
    assert len(silences.fetched) == 1
    assert silences.fetched[0] >= int(before)


def test_fetch_does_nothing_without_an_alertmanager(tmp_path: Path) -> None:
    silences = Silences()
    silences.gate.set()
    fetcher(tmp_path, WEBHOOK, silences).fetch()
    assert silences.fetched == []


def test_fetch_first_waits_for_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence_fetching, "FIRST_FETCH", 60.0)
    silences = Silences()
    silences.gate.set()
    fetcher(tmp_path, ALERTMANAGER, silences).fetch_first()
    assert len(silences.fetched) == 1


def test_the_first_fetch_abandons_an_alertmanager_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start continues; the fetch ends on its own thread."""
    monkeypatch.setattr(silence_fetching, "FIRST_FETCH", 0.01)
    silences = Silences()
    fetcher(tmp_path, ALERTMANAGER, silences).fetch_first()
    assert silences.fetched == []
    (thread,) = [item for item in threading.enumerate() if item.name == "first silences"]
    silences.gate.set()
    thread.join(60)
    assert len(silences.fetched) == 1
