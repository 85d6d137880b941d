"""Sinks of the receivers, and routing to destinations: the implementation of engine.requests.gates.Routing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bridge.config.load import BridgeConfig
from bridge.domain.destination import Destination
from bridge.domain.route import Route
from bridge.domain.times import Timestamp
from bridge.engine.requests.gates import NotificationGroup, Recipients
from bridge.ports import GroupedSink, RunLedger, Sink, request_alerts
from bridge.sinks.base import SinkContext
from bridge.sinks.registry import sinks


def build_sinks(config: BridgeConfig, external_url: str, ledger: RunLedger) -> dict[str, Sink]:
    """Return a sink for every entry of every receiver, by destination "receiver/integration/index".

    ledger: store of the runs that sinks start.
    """
    built: dict[str, Sink] = {}
    known = sinks()
    for receiver, entries in config.receivers.items():
        counted: Counter[str] = Counter()
        for integration, entry in entries:
            index = counted[integration]
            counted[integration] += 1
            context = SinkContext(
                receiver=receiver,
                index=index,
                external_url=external_url,
                external_labels=config.global_.external_labels,
                base_dir=config.base_dir,
                resolve_after=request_alerts.alert_lifetime(
                    max(config.global_.evaluation_interval, config.global_.resend_delay)
                ),
                ledger=ledger,
            )
            built[str(context.destination(integration))] = known[integration](entry, context)
    return built


def close_all(built: Mapping[str, Sink]) -> None:
    """Close the sessions of all sinks."""
    for sink in built.values():
        sink.close()


_KNOWN = 1024  # label values whose recipients are kept


class Routes:
    """Routing by the configured route tree.

    built: sinks by destination.
    external_labels: labels added to every alert.
    """

    def __init__(self, route: Route, built: Mapping[str, Sink], external_labels: Mapping[str, str]) -> None:
        self._route = route
        self.timed = route.timed
        self._sinks = built
        self._external = external_labels
        self._names = route.label_names
        self._grouped = {name for name, sink in built.items() if isinstance(sink, GroupedSink)}
        self._known: dict[tuple[str, ...], Recipients] = {}

    def recipients(self, labels: Mapping[str, str]) -> Recipients:
        """Return the receivers that the routes select, and all their destinations."""
        all_labels = {**self._external, **labels}
        if self._names is None:
            return self._recipients(all_labels)
        values = tuple([all_labels.get(name, "") for name in self._names])
        found = self._known.get(values)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found = self._known[values] = self._recipients(all_labels)
        return found

    def _recipients(self, all_labels: Mapping[str, str]) -> Recipients:
        nodes = self._route.matching(all_labels)
        receivers = tuple(dict.fromkeys(node.receiver for node in nodes))
        destinations = [item for name in receivers for item in self._sinks if _receiver(item) == name]
        bundles: dict[str, NotificationGroup] = {}
        for node in nodes:
            if not node.group_by:
                continue
            group = node.group(all_labels)
            for item in destinations:
                if _receiver(item) == node.receiver and item in self._grouped:
                    bundles.setdefault(item, NotificationGroup(group, node.group_wait))
        return Recipients(receivers, tuple(destinations), bundles)

    def muted_until(self, labels: Mapping[str, str], at: Timestamp) -> Timestamp:
        """Return the end of the mute by time intervals, 0 = not muted."""
        return self._route.muted_until({**self._external, **labels}, at) if self.timed else 0

    def identity(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return the labels with the external labels."""
        return {**self._external, **labels}

    def tracked(self, destinations: Sequence[str]) -> bool:
        """Return True if one of the destinations reports the status of a request."""
        return any((sink := self._sinks.get(item)) is not None and sink.reports_status for item in destinations)

    def wants_resolved(self, destination: str) -> bool:
        """Return True if the outbox notifies the destination of the end of an episode."""
        sink = self._sinks.get(destination)
        return sink is not None and sink.sends_resolved


def _receiver(destination: str) -> str:
    return Destination.parse(destination).receiver
