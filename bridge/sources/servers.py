"""Metric source over several Prometheus-compatible servers: each signal names the one that it queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from bridge.domain.batch import EventBatch
from bridge.domain.errors import ConfigError
from bridge.domain.model import ModelTable
from bridge.domain.rule import DEFAULT_SERVER, SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.ports import Sample
from bridge.ports.history import HistoryChunk
from bridge.sources.config import PrometheusConfig
from bridge.sources.patience import Report
from bridge.sources.prometheus import PrometheusSource


class PrometheusServers:
    """Implementation of ports.MetricSource: passes each query to the server that it names. Thread-safe.

    servers: configuration by name. table, base_dir, timeout, report: as of PrometheusSource.
    Raises ConfigError, which names the server.
    """

    def __init__(
        self, servers: Mapping[str, PrometheusConfig], table: ModelTable, base_dir: Path, *, timeout: float = 30.0,
        report: Report | None = None,
    ) -> None:  # fmt: skip
        self._sources: dict[str, PrometheusSource] = {}
        with ExitStack() as opened:
            for name, config in servers.items():
                try:
                    source = PrometheusSource(config, table, base_dir, timeout=timeout, report=report)
                except ConfigError as error:
                    raise error.below(DEFAULT_SERVER, section_of(name)) from None
                self._sources[name] = opened.enter_context(closing(source))
            self._close = opened.pop_all().close

    def close(self) -> None:
        """Close the connections."""
        self._close()

    def of(self, name: str) -> PrometheusSource:
        """Return the source of one server."""
        return self._sources[name]

    def instant(
        self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: Duration | None = None
    ) -> EventBatch:
        """Return the samples of every model at instant `at`, as the batch of `slot`. Raises SourceError."""
        return self.of(query.server).instant(query, slot, at, retry_for)

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """Yield one batch per slot, in order. Raises SourceError."""
        return self.of(query.server).history(query, slots, offset)

    def chunks(
        self, queries: Sequence[SignalQuery], slots: Sequence[Timestamp], offset: Duration
    ) -> list[Iterator[HistoryChunk]]:
        """Return one iterator of chunks per query; queries of one server are read together."""
        found: dict[int, Iterator[HistoryChunk]] = {}
        for server in dict.fromkeys(query.server for query in queries):
            mine = [index for index, query in enumerate(queries) if query.server == server]
            read = self.of(server).chunks([queries[index] for index in mine], slots, offset)
            found |= dict(zip(mine, read, strict=True))
        return [found[index] for index in range(len(queries))]

    def evaluate(self, expr: str, at: Timestamp, server: str = DEFAULT_SERVER) -> list[Sample]:
        """Return the result of an instant query at `at`, for `query` in templates. Raises SourceError."""
        return self.of(server).evaluate(expr, at)


def section_of(name: str) -> str:
    """Return the key path of a server in bridge.yml."""
    return DEFAULT_SERVER if name == DEFAULT_SERVER else f"prometheus_servers.{name}"
