"""Registry of sinks: built-in and installed ones."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from bridge.ports import Delivery, Notification, Result
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


class Impostor(Pigeon):
    integration = "log"


class Nameless(Pigeon):
    integration = ""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    registry.sinks.cache_clear()
    yield
    registry.sinks.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    point = EntryPoint("x", f"tests.sinks.test_registry:{name}", "bridge.sinks")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "bridge.sinks" else [])


def test_every_shipped_sink_is_found_by_its_integration() -> None:
    """A new sink is a new file; nothing else changes."""
    assert list(registry.sinks()) == ["alertmanager", "coordinator", "log", "run", "webhook"]
    assert registry.sinks()["log"] is LogSink


def test_a_sink_of_an_installed_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry point `bridge.sinks`."""
    install(monkeypatch, "Pigeon")
    assert registry.sinks()["pigeon"] is Pigeon
    Pigeon(None, SinkContext("x", 0)).close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Impostor", "two sinks are called 'log': bridge.sinks.log and tests.sinks.test_registry:Impostor"),
        ("Nameless", "sink Nameless in tests.sinks.test_registry:Nameless has no integration"),
        ("SinkContext", "is not a BaseSink"),
    ],
)
def test_what_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    """A duplicate or missing name, or something other than a sink, is an error."""
    install(monkeypatch, name)
    with pytest.raises(SinkError, match=message):
        registry.sinks()
