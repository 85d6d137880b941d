"""Receivers as sinks, and routes as destinations: implements engine.requests.gates.Routing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bridge.config.load import BridgeConfig
from bridge.domain.destination import Destination
from bridge.domain.route import Route
from bridge.domain.times import Timestamp
from bridge.engine.requests.gates import NotificationGroup, Recipients
from bridge.ports import GroupedSink, Sink, request_alerts
from bridge.sinks.base import SinkContext
from bridge.sinks.registry import sinks


def build_sinks(config: BridgeConfig, external_url: str) -> dict[str, Sink]:
    """A sink for every entry of every receiver, by destination "receiver/integration/index"."""
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
            )
            built[str(context.destination(integration))] = known[integration](entry, context)
    return built


class Routes:
    """The configured route tree over the built sinks."""

    def __init__(self, route: Route, built: Mapping[str, Sink], external_labels: Mapping[str, str]) -> None:
        self._route = route
        self._timed = route.timed
        self._sinks = built
        self._external = external_labels

    def way(self, labels: Mapping[str, str]) -> Recipients:
        """Receivers that the routes give, and all their destinations."""
        whole = {**self._external, **labels}
        nodes = self._route.matching(whole)
        receivers = tuple(dict.fromkeys(node.receiver for node in nodes))
        places = [place for name in receivers for place in self._sinks if _receiver(place) == name]
        bundles: dict[str, NotificationGroup] = {}
        for node in nodes:
            group = node.group(whole)
            for place in places if node.group_by else ():
                if _receiver(place) == node.receiver and isinstance(self._sinks[place], GroupedSink):
                    bundles.setdefault(place, NotificationGroup(group, node.group_wait))
        return Recipients(receivers, tuple(places), bundles)

    def muted_until(self, labels: Mapping[str, str], at: Timestamp) -> Timestamp:
        """When the time intervals of the routes no longer mute such a request; 0 = they do not."""
        return self._route.muted_until({**self._external, **labels}, at) if self._timed else 0

    def identity(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The labels of a request with those that every alert of this bridge has."""
        return {**self._external, **labels}

    def tracked(self, destinations: Sequence[str]) -> bool:
        """Whether one of them reports what became of a request."""
        return any((sink := self._sinks.get(place)) is not None and sink.reports_status for place in destinations)

    def wants_resolved(self, destination: str) -> bool:
        """Whether the destination is told through the outbox that an episode ended."""
        sink = self._sinks.get(destination)
        return sink is not None and sink.sends_resolved


def _receiver(destination: str) -> str:
    return Destination.parse(destination).receiver
