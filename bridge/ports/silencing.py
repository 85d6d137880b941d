"""Creation of silences in Alertmanager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.domain.errors import BridgeError
from bridge.domain.times import Timestamp


class SilencingError(BridgeError):
    """Silence that Alertmanager did not create or end. The message says why."""


class UnknownSilenceError(SilencingError):
    """Id that no Alertmanager has a silence of."""


@dataclass(frozen=True, slots=True)
class NewSilence:
    """Silence to create. labels: name -> value, all of which must be equal; at least one. ends_at: in ms."""

    labels: Mapping[str, str]
    starts_at: Timestamp
    ends_at: Timestamp
    created_by: str
    comment: str
