"""Test request to the destinations of one receiver, past the outbox."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from bridge.app import clock
from bridge.app.routing import build_sinks, close_all
from bridge.config.load import load
from bridge.domain.destination import Destination
from bridge.domain.errors import BridgeError
from bridge.domain.model import ModelKey
from bridge.domain.request import RetrainRequest, request_id
from bridge.domain.times import Timestamp
from bridge.ports import Delivery, Kind, Notification, Previewable, Sink
from bridge.store.memory import MemoryStore

TEST_MODEL = ModelKey("retrain-bridge-test", "send-test", "0")
RULE = "SendTest"


class UnknownReceiverError(BridgeError):
    """Unknown name of a receiver."""


def send(config_file: Path, receiver: str) -> Iterator[tuple[str, Delivery]]:
    """Send a test request once to each destination of `receiver`, and yield destination and outcome.

    Raises ConfigError, UnknownReceiverError.
    """
    at = clock.now()
    with _sinks_of(config_file, receiver) as built:
        for destination, sink in built.items():
            yield destination, sink.send(test_notification(at), at)


def preview(config_file: Path, receiver: str) -> Iterator[tuple[str, str]]:
    """Yield each destination of `receiver`, and the exact request that a test would send. Sends no request.

    Raises ConfigError, UnknownReceiverError.
    """
    at = clock.now()
    with _sinks_of(config_file, receiver) as built:
        for destination, sink in built.items():
            if isinstance(sink, Previewable):
                yield destination, sink.preview(test_notification(at), at)
            else:
                yield destination, "shows no request in advance"


@contextlib.contextmanager
def _sinks_of(config_file: Path, receiver: str) -> Iterator[Mapping[str, Sink]]:
    """Yield the sinks of one receiver by destination, and close them."""
    config = load(config_file)
    if receiver not in config.receivers:
        near = difflib.get_close_matches(receiver, config.receivers, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(config.receivers)}"
        raise UnknownReceiverError(f"{config_file} has no receiver {receiver!r}; {hint}")
    built = build_sinks(config, "", MemoryStore())
    try:
        yield {name: sink for name, sink in built.items() if Destination.parse(name).receiver == receiver}
    finally:
        close_all(built)


def test_notification(at: Timestamp) -> Notification:
    """Return a notification that is marked as a test."""
    reason = "test message of retrain-bridge send-test: nothing is wrong, nothing is to be retrained"
    request = RetrainRequest(
        TEST_MODEL,
        reason,
        at,
        request_id(TEST_MODEL, RULE, at, 1),
        RULE,
        at,
        reasons=(reason,),
        labels={"test": "true"},
    )
    return Notification(request, Kind.FIRING, at, at)
