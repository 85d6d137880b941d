"""`threshold`: limits on the value itself, with hysteresis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a value: breached above `max` or below `min`, hysteresis band between `clear` and the limit."""

    max: float | None = None
    min: float | None = None
    clear: float | None = None

    def evaluate(self, values: Floats, scale: float = 1.0) -> Verdicts:
        """Return verdicts for `values` (k,), whose unit is 1/scale of the limits' unit. NaN is inconclusive."""
        top = np.inf if self.max is None else self.max / scale
        bottom = -np.inf if self.min is None else self.min / scale
        breached, missing = values > top, np.isnan(values)
        threshold = np.full(len(values), bottom if self.max is None else top)
        if self.min is not None:
            low = values < bottom
            breached |= low
            threshold[low] = bottom
        code = breached.view(np.int8) * np.int8(Code.BREACHED)  # OK is 0
        if self.clear is not None:
            clear = self.clear / scale
            band = values > clear if self.max is not None else values < clear
            code[band & (code == Code.OK)] = Code.BAND
        code[missing] = Code.INCONCLUSIVE
        cause = missing.view(np.int8) * np.int8(Cause.NAN)  # NONE is 0
        return Verdicts(code, cause, values, threshold)


def _require_limit(field: str, limit: object) -> None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, Real) or math.isnan(limit)):
        raise TypeError(f"ThresholdStrategy: {field} must be a number, not {limit!r}")


class ThresholdConfig(StrategyConfig):
    """Parameters of `threshold: {max: 0.6, clear: 0.5}`, in the signal's unit.

    - `max`, `min`: limits of the value
    - `clear`: value at which a firing rule resolves; only with one limit
    """

    max: float | None = Field(default=None, examples=["200ms"])
    min: float | None = Field(default=None, examples=["200ms"])
    clear: float | None = Field(default=None, examples=["200ms"])

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max is None and self.min is None:
            raise ValueError("give max, min or both")
        if self.max is not None and self.min is not None:
            if self.min >= self.max:
                raise ValueError(f"min ({self.min:g}) must be below max ({self.max:g})")
            if self.clear is not None:
                raise ValueError("clear cannot be combined with both max and min: write two rules")
        elif self.clear is not None:
            if self.max is not None and self.clear > self.max:
                raise ValueError(f"clear ({self.clear:g}) must not be above max ({self.max:g})")
            if self.min is not None and self.clear < self.min:
                raise ValueError(f"clear ({self.clear:g}) must not be below min ({self.min:g})")
        return self


class ThresholdStrategy(RetrainStrategy):
    """Strategy that is breached while a value is past its limit.

    When to use: if you know the limit, such as an SLO or an agreed accuracy. An event whose kind has no limit is never
    breached.
    max_latency_ms: in milliseconds.
    max_drift_p: drift score in [0, 1], higher is stronger.
    max_error_rate: share in [0, 1].
    custom: limits by the name of the custom event.
    limits: limits for every kind of event, in the signal's unit, as rule files give them.

    >>> from bridge import Drift, ModelKey
    >>> strategy = ThresholdStrategy(max_latency_ms=200, max_drift_p=0.6)
    >>> strategy.analyse(ModelKey("shop", "ranking", "7"), Drift(0, 0.702)).reason
    'drift 0.702 above 0.6'
    """

    name = "threshold"
    Config = ThresholdConfig
    needs = frozenset({"value"})

    def __init__(
        self,
        max_latency_ms: float | None = None,
        max_drift_p: float | None = None,
        max_error_rate: float | None = None,
        custom: Mapping[str, Limits] = MappingProxyType({}),
        *,
        limits: Limits | None = None,
    ) -> None:
        if limits is None and not custom and max_latency_ms is max_drift_p is max_error_rate is None:
            raise ValueError("ThresholdStrategy needs a limit: max_latency_ms, max_drift_p, max_error_rate or custom")
        given = {"max_latency_ms": max_latency_ms, "max_drift_p": max_drift_p, "max_error_rate": max_error_rate}
        for field, limit in given.items():
            _require_limit(field, limit)
        self._limits = limits
        self._custom = custom
        by_kind = {
            EventKind.LATENCY: max_latency_ms,
            EventKind.DRIFT: max_drift_p,
            EventKind.INFERENCE_ERROR: max_error_rate,
        }
        self._by_kind = {kind: Limits(max=limit) for kind, limit in by_kind.items() if limit is not None}

    @classmethod
    def from_config(cls, config: StrategyConfig) -> ThresholdStrategy:
        """Build the strategy from a rule file's limits, in the signal's unit."""
        return cls(limits=Limits(**config.model_dump()))

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        """Compare every value with the limit of its kind of event."""
        values = batch.values()
        if self._limits is not None:
            return self._limits.evaluate(values)
        limits = self._custom.get(batch.name) if batch.event is EventKind.CUSTOM else self._by_kind.get(batch.event)
        return (limits or Limits()).evaluate(values, batch.unit_ms)
