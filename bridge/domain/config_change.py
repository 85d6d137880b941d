"""Reload of the configuration, as operators see it."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.times import Timestamp


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """Reload of the configuration.

    diff: what changed in bridge.yml and the rule files as a unified difference, secrets hidden; "" for no difference.
    error: why it was not applied, "" if it was.
    """

    at: Timestamp
    diff: str
    error: str = ""
