"""Metrics of the coordinator, in their own registry."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.coordinator.ledger import Ledger
from bridge.coordinator.records import Record
from bridge.domain.request import COORDINATOR_ENDS, RequestState

PREFIX = "retrain_bridge_coordinator_"
STATES = (RequestState.ACCEPTED, RequestState.RUNNING, *sorted(COORDINATOR_ENDS))
_BUCKETS = (1, 10, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 24 * 3600)


class Metrics:
    """Counters and histograms of events; gauges read the ledger at every scrape."""

    def __init__(self, ledger: Ledger) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_LedgerCollector(ledger))
        self.received = Counter(
            f"{PREFIX}received_total",
            "Requests received, by origin and result.",
            ["origin", "result"],
            registry=self._registry,
        )
        self.ignored = Counter(
            f"{PREFIX}ignored_alerts_total",
            "Alerts received from Alertmanager that request no run, by reason.",
            ["reason"],
            registry=self._registry,
        )
        self.reports = Counter(
            f"{PREFIX}reports_total",
            "Attempts to report to the bridge, by result.",
            ["result"],
            registry=self._registry,
        )
        self.runs = Counter(f"{PREFIX}runs_total", "Ended runs, by state.", ["state"], registry=self._registry)
        self._seconds = Histogram(
            f"{PREFIX}run_duration_seconds", "Duration of runs.", registry=self._registry, buckets=_BUCKETS
        )

    def run_ended(self, record: Record) -> None:
        """Count a run and observe its duration."""
        self.runs.labels(record.state).inc()
        self._seconds.observe((record.ended_at - record.started_at) / 1000)

    def render(self) -> bytes:
        """Return the metrics in Prometheus' text format. Raises StoreError."""
        return generate_latest(self._registry)


class _LedgerCollector(Collector):
    """Collector of gauges from the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def describe(self) -> list[Metric]:
        """Return nothing, so that registration does not read the ledger."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        counts = self._ledger.counts()
        states = GaugeMetricFamily(f"{PREFIX}requests", "Requests in the ledger, by state.", labels=["state"])
        for state in STATES:
            states.add_metric([state], counts.get(state, 0))
        yield states
        pending = "Requests whose current state is not yet reported to the bridge."
        yield GaugeMetricFamily(f"{PREFIX}reports_pending", pending, value=self._ledger.pending_reports())
