"""Quantiles that contradict the mean."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from bridge.authoring.suggest.plausible import implausible
from bridge.domain.batch import VALUE, EventBatch, EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.sources.prometheus import PrometheusSource

QUANTILE = SignalQuery("p95", EventKind.LATENCY, {VALUE: "q"}, ModelLabels(), "microseconds", 0.001)
MEAN = SignalQuery("mean", EventKind.LATENCY, {VALUE: "m"}, ModelLabels(), "milliseconds", 1.0)


class Source:
    """Prometheus with one value for each signal."""

    def __init__(self, **values: float | SourceError) -> None:
        self.values = values

    def instant(self, query: SignalQuery, slot: int, at: int, retry_for: int | None = None) -> EventBatch:
        value = self.values[query.name]
        if isinstance(value, SourceError):
            raise value
        table = ModelTable()
        index = np.array([table.row(ModelKey("p", "a", "1"))], np.int32)
        return EventBatch(query.name, query.event, slot, table, index, {VALUE: np.array([value])})


@pytest.mark.parametrize(
    ("quantile", "mean", "expected"),
    [
        (3, 442, "p95 of p/a/1 is 3 µs beside a mean of 442 ms"),
        (90_000, 442, ""),
        (22_000, 442, "p95 of p/a/1 is 22 ms beside a mean of 442 ms"),
        (23_000, 442, ""),
        (float("nan"), 442, ""),
        (3, SourceError("away", reason="network", transient=True), ""),
    ],
)
def test_a_quantile_far_below_the_mean_is_implausible(
    quantile: float, mean: float | SourceError, expected: str
) -> None:
    """Each in its own unit."""
    source = cast("PrometheusSource", Source(p95=quantile, mean=mean))
    assert implausible(source, QUANTILE, MEAN, 0) == expected
