"""Destination of deliveries: one entry of a receiver, with its own queue."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

ALERTMANAGER = "alertmanager"  # integration of receivers to which requests are alerts
RUN = "run"  # integration of receivers that start runs in orchestrators


@dataclass(frozen=True, slots=True)
class Destination:
    """One entry of a receiver. Its text, "receiver/integration/index", names its queue in the store, API and metrics.

    receiver: may contain slashes. index: position among the receiver's entries of the same integration.
    """

    receiver: str
    integration: str
    index: int

    def __str__(self) -> str:
        return f"{self.receiver}/{self.integration}/{self.index}"

    @property
    def labels(self) -> tuple[str, str, str]:
        """Values of the metric labels receiver, integration and index."""
        return self.receiver, self.integration, str(self.index)

    @classmethod
    def parse(cls, text: str) -> Destination:
        """Return the destination with this text. Raises ValueError for any other text."""
        receiver, integration, index = text.rsplit("/", 2)
        return cls(receiver, integration, int(index))


def receiver_of(destination: str) -> str:
    """Return the receiver of a destination. destination: text as stored, which need not be one of this version's."""
    return destination.rsplit("/", 2)[0]


def discard_command(destination: str) -> str:
    """Return the command that ends the deliveries to a removed destination, and to others of its receiver.

    destination: text as stored, which need not be one of this version's.
    """
    return f"retrain-bridge deliveries discard --receiver {shlex.quote(receiver_of(destination))}"
