"""Facts about a configuration's expressions, each queried from Prometheus once."""

from __future__ import annotations

from functools import cache

import numpy as np

from bridge.domain.batch import VALUE, EventKind
from bridge.domain.errors import SourceError
from bridge.domain.label_names import in_promql
from bridge.domain.model import ModelKey
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.domain.times import DAY, HOUR, MINUTE, Duration, Timestamp, format_duration
from bridge.sources.prometheus import PrometheusSource

LOOKED_AT: Duration = DAY
POINTS = 24
SPANS = (10 * MINUTE, HOUR, DAY)  # within which samples are looked for, the shortest first
FEW = 3  # samples, of which the time between two is not taken


class PrometheusFacts:
    """Facts of the last day before `now`. Failed queries give unknown facts, not errors."""

    def __init__(self, source: PrometheusSource, now: Timestamp) -> None:
        self._source = source
        self._now = now
        self._measured: dict[tuple[str, ...], tuple[float, float] | None] = {}
        self._models: set[ModelKey] = set()
        self._metrics: frozenset[str] | None = None
        self.spacing = cache(self._spacing)
        self.is_there = cache(self._is_there)

    def knows(self, metric: str) -> bool:
        """Return whether the server has a metric: others are errors already. True for "", or if that is unknown."""
        if self._metrics is None:
            try:
                self._metrics = frozenset(self._source.metric_names())
            except SourceError:
                self._metrics = frozenset()
        return not metric or not self._metrics or metric in self._metrics

    @property
    def seen(self) -> set[ModelKey]:
        """Every model for which a measured signal had a sample."""
        return self._models

    def measured(self, query: SignalQuery, offset: Duration) -> tuple[float, float] | None:
        """Return the signal's lowest and highest value at POINTS instants, in its unit; None without samples."""
        key = (str(offset), str(query.mapping), *(f"{name} {expr}" for name, expr in query.exprs.items()))
        if key not in self._measured:
            self._measured[key] = self._extremes(query, self._now - offset)
        return self._measured[key]

    def number_of_models(self, query: SignalQuery, offset: Duration) -> int:
        """Return how many models have a sample of the signal now; 0 if the query failed."""
        try:
            return len(self._source.instant(query, self._now, self._now - offset))
        except SourceError:
            return 0

    def models(self, selector: str, mapping: ModelLabels) -> set[ModelKey]:
        """Return the models of series that match `selector` now; empty when the mapping uses no label."""
        parts = (mapping.project, mapping.pipeline, mapping.version)
        names = [part.label for part in parts if part.const is None]
        if not names:
            return set()
        by = ",".join(map(in_promql, names))
        query = SignalQuery("models", EventKind.CUSTOM, {VALUE: f"group by ({by}) ({selector})"}, mapping)
        try:
            batch = self._source.instant(query, self._now, self._now)
        except SourceError:
            return set()
        return {batch.table[row] for row in batch.index.tolist()}

    def _extremes(self, query: SignalQuery, now: Timestamp) -> tuple[float, float] | None:
        step = LOOKED_AT // POINTS
        low, high = np.inf, -np.inf
        try:
            for batch in self._source.history(query, range(now - LOOKED_AT + step, now + 1, step), 0):
                self._models.update(batch.table[row] for row in batch.index.tolist())
                values = batch.values()[np.isfinite(batch.values())] if len(batch) else np.empty(0)
                if values.size:
                    low, high = min(low, float(values.min())), max(high, float(values.max()))
        except SourceError:
            return None
        return (low, high) if low <= high else None

    def _spacing(self, metric: str) -> Duration:
        """Return the usual time between two samples of a metric, in ms; 0 = unknown."""
        for span in SPANS:
            try:
                times = self._source.sample_times(metric, span, self._now)
            except SourceError:
                return 0
            if len(times) > FEW:
                return round(float(np.median(np.diff(times))))
        return 0

    def _is_there(self, selector: str) -> bool:
        """Return True if a series had a sample, or if that is unknown."""
        return self._number(f"count(last_over_time({selector}[{format_duration(LOOKED_AT)}]))") != 0

    def _number(self, expr: str) -> float | None:
        """Return the value of an expression, 0 without a result; None if the query failed."""
        query = SignalQuery("number", EventKind.CUSTOM, {VALUE: expr}, ModelLabels.constant("x"))
        try:
            batch = self._source.instant(query, self._now, self._now)
        except SourceError:
            return None
        return float(batch.values()[0]) if len(batch) else 0.0
