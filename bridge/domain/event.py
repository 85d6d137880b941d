"""What was observed of one model. New variants must not break observers: match with a default branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bridge.domain.times import Timestamp

JSON = Any


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """One observation of one model; `timestamp` in milliseconds since the epoch."""

    timestamp: Timestamp


@dataclass(frozen=True, slots=True)
class Latency(ModelEvent):
    """How long an inference took, in milliseconds."""

    value_ms: float


@dataclass(frozen=True, slots=True)
class Drift(ModelEvent):
    """How far data or predictions moved: score in [0, 1], higher is stronger (so not a p-value: that is 1 - p)."""

    score: float


@dataclass(frozen=True, slots=True)
class InferenceError(ModelEvent):
    """Inferences failed: a message for people, and the share of inferences that failed, in [0, 1]."""

    message: str
    rate: float


@dataclass(frozen=True, slots=True)
class Custom(ModelEvent):
    """Anything else: a name, and a payload that JSON can carry (`{"value": 0.93}` for a plain number)."""

    name: str
    payload: JSON
