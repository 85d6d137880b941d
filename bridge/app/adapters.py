"""Adapters of one configuration: metric source, sinks and silences. A reload replaces them as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.app.routing import build_sinks, close_all
from bridge.config.load import BridgeConfig
from bridge.domain.model import ModelTable
from bridge.ports import RunLedger, SilenceSnapshot, Sink
from bridge.sinks.alertmanager import AlertmanagerConfig
from bridge.sources.alertmanager_silences import AlertmanagerSilences, SilenceTarget
from bridge.sources.servers import PrometheusServers

_UNKNOWN = SilenceSnapshot()


@dataclass(frozen=True, slots=True)
class Adapters:
    """Adapters in use, and the configuration that they were built from.

    sinks: by destination ("receiver/integration/index").
    """

    config: BridgeConfig
    source: PrometheusServers
    sinks: Mapping[str, Sink]
    silences: AlertmanagerSilences

    def close(self) -> None:
        """Close all sessions."""
        close_all(self.sinks)
        self.source.close()
        self.silences.close()


def build_adapters(
    config: BridgeConfig, table: ModelTable, external_url: str, ledger: RunLedger, known: SilenceSnapshot = _UNKNOWN
) -> Adapters:
    """Build the adapters of a configuration. Raises ConfigError and OSError.

    table: the models of all groups.
    ledger: store of the runs that sinks start.
    known: silences to start from until the first fetch.
    """
    timeout = config.global_.query_timeout / 1000
    source = PrometheusServers(config.servers, table, config.base_dir, timeout=timeout)
    sinks = build_sinks(config, external_url, ledger)
    silences = AlertmanagerSilences(silence_targets(config), config.base_dir, known=known)
    return Adapters(config, source, sinks, silences)


def silence_targets(config: BridgeConfig) -> list[SilenceTarget]:
    """Return the Alertmanagers of all receivers, whose silences hold requests."""
    return [
        SilenceTarget(entry.url, entry.http_config)
        for entries in config.receivers.values()
        for _, entry in entries
        if isinstance(entry, AlertmanagerConfig)
    ]
