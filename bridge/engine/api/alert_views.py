"""Views of alerts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.domain.model import ModelKey
from bridge.domain.times import Timestamp


@dataclass(frozen=True, slots=True)
class AlertView:
    """Pending or firing rule of one model.

    state: "pending" | "firing".
    fired_at, keep_since: 0 = not yet.
    value: in the signal's unit, NaN = unknown.
    """

    rule: str
    model: ModelKey
    state: str
    active_at: Timestamp
    fired_at: Timestamp
    keep_since: Timestamp
    value: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Page of alerts, which are made as they are read; one that ends meanwhile is absent. total: number of all."""

    alerts: Iterator[AlertView]
    total: int
