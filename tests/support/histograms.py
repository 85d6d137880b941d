"""Batches of histograms for tests of the strategies that compare them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.verdict import Cause, Code
from bridge.strategies.registry import build

INF, NAN = float("inf"), float("nan")
Rows = Sequence[Sequence[float]]


def batch(
    buckets: Rows, reference: Rows, bounds: Sequence[float], *, event: EventKind = EventKind.LATENCY, **columns: Any
) -> EventBatch:
    """Cumulative counts of models at bounds in seconds; further columns as they are."""
    table = ModelTable()
    index = np.array([table.row(ModelKey("p", "q", str(index))) for index in range(len(buckets))], np.int32)
    both = {"buckets": np.array(buckets, float), "reference": np.array(reference, float)}
    beside = {name: np.array(column, float) for name, column in columns.items()}
    return EventBatch("latency", event, 0, table, index, both | beside, np.array(bounds, float), unit_ms=1000.0)


def of_samples(now: Any, before: Any, bounds: Sequence[float], *, sums: bool = True) -> EventBatch:
    """A batch of one from the observations themselves; the last bound is added."""
    rows = [[float((np.asarray(seen) <= bound).sum()) for bound in (*bounds, INF)] for seen in (now, before)]
    beside: dict[str, Any] = {"sum": [float(np.sum(now))], "reference_sum": [float(np.sum(before))]} if sums else {}
    return batch([rows[0]], [rows[1]], (*bounds, INF), **beside)


def judged(name: str, one: EventBatch, **params: Any) -> list[tuple[str, str]]:
    """Code and cause of every model."""
    verdicts = build(StrategySpec(name, params)).analyse_batch(one, None)
    words = zip(verdicts.code.tolist(), verdicts.cause.tolist(), strict=True)
    return [(Code(code).name, Cause(cause).name) for code, cause in words]
