"""Asks a Prometheus-compatible server: one query per column of a signal, for all models at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.domain.batch import BUCKETS, EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.sources import columns, decode
from bridge.sources.api import Api, texts
from bridge.sources.columns import Column
from bridge.sources.config import PrometheusConfig
from bridge.sources.mapping import Layout, SeriesIndex

__all__ = ["PrometheusConfig", "PrometheusSource"]
log = logging.getLogger(__name__)


class PrometheusSource:
    """A ports.MetricSource. Thread-safe.

    table: shared by everything that evaluates. base_dir: what `*_file` settings are relative to. timeout: seconds
    for one question with all its retries.
    """

    def __init__(self, config: PrometheusConfig, table: ModelTable, base_dir: Path, *, timeout: float = 30.0) -> None:
        self.api = Api(config, base_dir, timeout)
        self.config = config
        self.table = table
        self._indexes: dict[tuple[ModelLabels, bool], SeriesIndex] = {}
        self._told: dict[str, frozenset[str]] = {}

    def close(self) -> None:
        """Let go of connections."""
        self.api.close()

    # ------------------------------------------------------------ evaluating

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp) -> EventBatch:
        """The samples of every model at instant `at`, as the batch of `slot`. Raises SourceError."""
        ends = self.api.deadline()
        found = {name: self._column(query, name, expr, at, ends) for name, expr in query.exprs.items()}
        return columns.batch(query, slot, self.table, found)

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """One batch per slot, each as `instant(query, slot, slot - offset)` would give."""
        for slot in slots:
            yield self.instant(query, slot, slot - offset)

    def _column(self, query: SignalQuery, name: str, expr: str, at: Timestamp, ends: float) -> Column:
        samples = decode.samples(self.api.ask("/api/v1/query", self._params(expr, time=seconds(at)), ends))
        columns.refuse_flood(query.name, samples.elements, query.limit)
        if not samples.labelled and not constant(query.mapping):
            raise SourceError(
                f"signal {query.name!r}: the expression is a scalar and belongs to no model; "
                "give project, pipeline and version as constants, or use an expression with series",
                reason="bad_data",
                transient=False,
            )
        layout = self.index(query.mapping, buckets=name == BUCKETS).arrange(samples.metrics, f"{query.name}/{name}")
        self.tell(query.name, name, layout)
        columns.refuse_twins(query.name, layout.slots, layout.series, self.table, layout.bounds)
        skipped = {**samples.skipped}
        for reason, count in layout.skipped().items():
            skipped[reason] = skipped.get(reason, 0) + count
        index, values, series, bounds = layout.slots, samples.values[layout.rows], layout.series, layout.bounds
        if bounds is not None:
            first, bounds, values = columns.bucket_matrix(index, bounds, values)
            index, series = index[first], [series[row] for row in first.tolist()]
        return Column(index, values, series, bounds, samples.elements, skipped, samples.notes, samples.partial)

    def _params(self, expr: str, **more: str) -> dict[str, str]:
        params = {"query": expr, **more, "timeout": f"{self.api.timeout:g}"}
        if self.config.partial_response is not None:
            params["partial_response"] = str(self.config.partial_response).lower()
        return params

    def index(self, mapping: ModelLabels, *, buckets: bool) -> SeriesIndex:
        """The known label sets of a mapping; shared by every query that uses it."""
        return self._indexes.setdefault((mapping, buckets), SeriesIndex(mapping, self.table, buckets=buckets))

    def tell(self, signal: str, column: str, layout: Layout) -> None:
        """Log when series without a mapped label appear, once per label, and again only after they were gone."""
        user, now = f"{signal}/{column}", frozenset(layout.lacking)
        for label in sorted(now - self._told.get(user, frozenset())):
            example = layout.lacking[label].decode(errors="replace")
            log.warning(
                "series without a label of the model are skipped",
                extra={"signal": signal, "label": label, "count": len(layout.unmapped), "example": example},
            )
        self._told[user] = now

    # ------------------------------------------------------------ listings, for `check`

    def check_connection(self) -> bool:
        """Whether the server answers at all. Raises SourceError when it cannot be reached."""
        return bool(self.api.listing(lambda client: client.check_prometheus_connection()))

    def label_names(self) -> list[str]:
        """The names of all labels. Raises SourceError."""
        return texts(self.api.listing(lambda client: client.get_label_names()))

    def metric_names(self) -> list[str]:
        """The names of all metrics. Raises SourceError."""
        return texts(self.api.listing(lambda client: client.all_metrics()))


def seconds(instant: Timestamp) -> str:
    """An instant in the API's form, exact to the millisecond."""
    whole, rest = divmod(instant, 1000)
    return f"{whole}.{rest:03d}" if rest else str(whole)


def constant(mapping: ModelLabels) -> bool:
    """Whether every part of the model is given, so that a number without labels belongs to a model."""
    return all(ref.const is not None for ref in (mapping.project, mapping.pipeline, mapping.version))
