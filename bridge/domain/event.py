"""Observations of one model. Match with a default branch: new variants may be added.

Each event validates its values on creation and raises TypeError with the field's name and the expected type. NaN is
accepted: strategies treat it as inconclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

from bridge.domain.times import Timestamp

JSON = Any


def _require_number(event: object, field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{type(event).__name__}: {field} must be a number, not {value!r}")


def _require_text(event: object, field: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{type(event).__name__}: {field} must be text, not {value!r}")


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """One observation of one model.

    timestamp: milliseconds since the epoch, a whole number.
    """

    timestamp: Timestamp

    def __post_init__(self) -> None:
        if isinstance(self.timestamp, bool) or not isinstance(self.timestamp, int):
            name = type(self).__name__
            raise TypeError(f"{name}: timestamp must be whole milliseconds since the epoch, not {self.timestamp!r}")


@dataclass(frozen=True, slots=True)
class Latency(ModelEvent):
    """Duration of an inference.

    value_ms: milliseconds.
    """

    value_ms: float

    def __post_init__(self) -> None:
        ModelEvent.__post_init__(self)
        _require_number(self, "value_ms", self.value_ms)


@dataclass(frozen=True, slots=True)
class Drift(ModelEvent):
    """Distance by which data or predictions have drifted.

    score: in [0, 1], higher is stronger. It is not a p-value; pass 1 - p instead.
    """

    score: float

    def __post_init__(self) -> None:
        ModelEvent.__post_init__(self)
        _require_number(self, "score", self.score)


@dataclass(frozen=True, slots=True)
class InferenceError(ModelEvent):
    """Failed inferences.

    message: text for display.
    rate: share of inferences that failed, in [0, 1].
    """

    message: str
    rate: float

    def __post_init__(self) -> None:
        ModelEvent.__post_init__(self)
        _require_text(self, "message", self.message)
        _require_number(self, "rate", self.rate)


@dataclass(frozen=True, slots=True)
class Custom(ModelEvent):
    """Any other observation.

    name: the signal's name.
    payload: a JSON value; `{"value": 0.93}` for a plain number.
    """

    name: str
    payload: JSON

    def __post_init__(self) -> None:
        ModelEvent.__post_init__(self)
        _require_text(self, "name", self.name)
