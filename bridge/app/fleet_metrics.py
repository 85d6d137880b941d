"""Metrics of a fleet's replica."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest

from bridge.store.leases import FleetState

PREFIX = "retrain_bridge_fleet_"


class FleetMetrics:
    """Counters and gauges of one replica; the owner's other metrics are in app.telemetry."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()

        def gauge(name: str, about: str) -> Gauge:
            return Gauge(PREFIX + name, about, registry=registry)

        self._owner = gauge("owner", "Whether this replica is the owner: it evaluates and delivers.")
        self._replicas = gauge("replicas", "Number of replicas that were seen within twice the lease.")
        self._offset = gauge("clock_offset_seconds", "Database's clock minus this host's.")
        self._config_seq = gauge("config_seq", "Number of this replica's configuration, in the order of use.")
        self._expires = gauge("lease_expiry_timestamp_seconds", "End of the present lease, on the database's clock.")
        self._takeovers = Counter(
            PREFIX + "takeovers", "Number of times this replica became the owner.", registry=registry
        )
        self._fenced = Counter(
            PREFIX + "fenced_commits", "Number of transactions refused because another replica had taken over.",
            registry=registry,
        )  # fmt: skip
        self._renewals = Counter(
            PREFIX + "lease_renewals", "Number of renewals of the lease, by result.", ["result"], registry=registry
        )
        for result in ("success", "lost", "error"):
            self._renewals.labels(result)

    def looked(self, state: FleetState | None, config_seq: int, *, owner: bool) -> None:
        """Record what the last look at the database showed."""
        self._owner.set(int(owner))
        self._config_seq.set(config_seq)
        if state is not None:
            self._replicas.set(len(state.replicas))
            self._offset.set(state.offset / 1000)
            self._expires.set(state.expires_at / 1000)

    def renewed(self, result: str) -> None:
        """Count a renewal: success, lost or error."""
        self._renewals.labels(result).inc()

    def taken(self) -> None:
        """Count a take-over by this replica."""
        self._takeovers.inc()
        self._owner.set(1)

    def lost(self, fenced: int) -> None:
        """Record the end of the ownership. fenced: number of transactions that were refused under it."""
        self._owner.set(0)
        self._fenced.inc(fenced)

    def render(self) -> bytes:
        """Return the metrics in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)
