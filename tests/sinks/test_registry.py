"""Registry of sinks: built-in and installed ones."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from bridge.ports import Delivery, Notification, Result, plug_ins
from bridge.sinks import registry
from bridge.sinks.base import BaseSink, SinkContext
from bridge.sinks.log import LogSink
from bridge.sinks.registry import SinkError


class Pigeon(BaseSink):
    """Third-party sink."""

    integration = "pigeon"

    def __init__(self, config: object, context: SinkContext) -> None: ...

    def send(self, notification: Notification, now: int) -> Delivery:
        return Delivery(Result.DELIVERED)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    registry.sinks.cache_clear()
    yield
    registry.sinks.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    point = EntryPoint("x", f"tests.sinks.test_registry:{name}", "bridge.sinks")
    monkeypatch.setattr(plug_ins, "entry_points", lambda group: [point] if group == "bridge.sinks" else [])


def test_every_shipped_sink_is_found_by_its_integration() -> None:
    """A new sink is a new file; nothing else changes."""
    assert list(registry.sinks()) == ["alertmanager", "coordinator", "log", "run", "webhook"]
    assert registry.sinks()["log"] is LogSink


def test_a_sink_of_an_installed_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry point `bridge.sinks`."""
    install(monkeypatch, "Pigeon")
    assert registry.sinks()["pigeon"] is Pigeon
    Pigeon(None, SinkContext("x", 0)).close()


def test_an_unusable_sink_of_an_installed_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "SinkContext")
    with pytest.raises(SinkError, match="is not a BaseSink"):
        registry.sinks()
