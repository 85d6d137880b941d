"""A marked test request, sent straight to the destinations of one receiver."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from bridge.app import clock
from bridge.app.routing import build_sinks
from bridge.app.wiring import close_all
from bridge.config.load import load
from bridge.domain.destination import Destination
from bridge.domain.errors import BridgeError
from bridge.domain.model import ModelKey
from bridge.domain.request import RetrainRequest, request_id
from bridge.domain.times import Timestamp
from bridge.ports import Delivery, Kind, Notification

TEST_MODEL = ModelKey("retrain-bridge-test", "send-test", "0")
RULE = "SendTest"


class UnknownReceiverError(BridgeError):
    """The configuration has no receiver of that name."""


def send(config_file: Path, receiver: str) -> Iterator[tuple[str, Delivery]]:
    """Yield the name and answer of each destination of `receiver`, tried once.

    Raises ConfigError, UnknownReceiverError.
    """
    config = load(config_file)
    if receiver not in config.receivers:
        near = difflib.get_close_matches(receiver, config.receivers, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(config.receivers)}"
        raise UnknownReceiverError(f"{config_file} has no receiver {receiver!r}; {hint}")
    built = build_sinks(config, "")
    try:
        at = clock.now()
        for destination, sink in built.items():
            if Destination.parse(destination).receiver == receiver:
                yield destination, sink.send(parcel_for_test(at), at)
    finally:
        close_all(built)


def parcel_for_test(at: Timestamp) -> Notification:
    """A request that says of itself that it is a test."""
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
    return Notification(request, Kind.FIRING, at)
