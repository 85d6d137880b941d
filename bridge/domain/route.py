"""Routing tree with the semantics of Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.domain.matchers import Matcher
from bridge.domain.time_interval import YEAR, TimeInterval
from bridge.domain.times import Duration, Timestamp

EVERY_LABEL = "..."  # alone in `group_by`


@dataclass(frozen=True, slots=True)
class Route:
    """Node of the tree: its receiver gets what its matchers accept and none of its child routes does.

    continue_: True = the next sibling is tried as well.
    group_by: requests with equal values of these labels share a message; no labels = one message per request;
        EVERY_LABEL = requests with equal label sets share one.
    group_wait: time window of a shared message, in ms.
    mute, active: time intervals of this node; not inherited, as in Alertmanager.
    """

    receiver: str
    matchers: tuple[Matcher, ...] = ()
    continue_: bool = False
    routes: tuple[Route, ...] = ()
    group_by: tuple[str, ...] = ()
    group_wait: Duration = 0
    mute: tuple[TimeInterval, ...] = ()
    active: tuple[TimeInterval, ...] = ()

    @property
    def timed(self) -> bool:
        """True if any node of the tree has time intervals."""
        return bool(self.mute or self.active) or any(route.timed for route in self.routes)

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """Names of the labels that the tree reads; None = all, for EVERY_LABEL."""
        if EVERY_LABEL in self.group_by:
            return None
        names = dict.fromkeys((*(matcher.name for matcher in self.matchers), *self.group_by))
        for route in self.routes:
            if (below := route.label_names) is None:
                return None
            names |= dict.fromkeys(below)
        return tuple(names)

    def receivers(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return the receivers for a label set, depth first, without duplicates."""
        return tuple(dict.fromkeys(node.receiver for node in self._matching(labels)))

    def matching(self, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """Return the nodes that accept a label set, depth first."""
        return tuple(self._matching(labels))

    def muted_until(self, labels: Mapping[str, str], at: Timestamp) -> Timestamp:
        """Return when the last of the nodes that accept the label set is no longer muted; 0 = none is muted now."""
        return max(node._muted_until(at) for node in self._matching(labels))

    def group(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the labels that identify the message for a request with these labels."""
        return dict(labels) if EVERY_LABEL in self.group_by else {name: labels.get(name, "") for name in self.group_by}

    def _muted_until(self, at: Timestamp) -> Timestamp:
        ends = [item.until(at) or at + YEAR for item in self.mute if item.contains(at)]
        if self.active and not any(item.contains(at) for item in self.active):
            ends.append(min(item.begins(at) or at + YEAR for item in self.active))
        return max(ends, default=0)

    def _matching(self, labels: Mapping[str, str]) -> Iterator[Route]:
        matched = False
        for route in self.routes:
            if all(matcher.matches(labels) for matcher in route.matchers):
                matched = True
                yield from route._matching(labels)
                if not route.continue_:
                    break
        if not matched:
            yield self
