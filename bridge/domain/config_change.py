"""Change of the configuration, as operators see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.domain.times import Timestamp

KEPT = 20  # latest changes that are stored


class ConfigEvent(StrEnum):
    """Event that brings a configuration into force."""

    RELOAD = "reload"
    START = "start"


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """Reload of the configuration, or a start with another one than before.

    diff: what changed in bridge.yml and the rule files as a unified difference, secrets hidden; "" for no difference.
    error: why it was not applied, "" if it was.
    replica: name of the replica of a fleet, "" without one.
    """

    at: Timestamp
    diff: str
    error: str = ""
    event: ConfigEvent = ConfigEvent.RELOAD
    replica: str = ""
