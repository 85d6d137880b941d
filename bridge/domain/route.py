"""Alertmanager's routing tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.domain.matchers import Matcher
from bridge.domain.time_interval import YEAR, TimeInterval
from bridge.domain.times import Duration, Timestamp

EVERY_LABEL = "..."  # alone in `group_by`


@dataclass(frozen=True, slots=True)
class Route:
    """A node: its receiver gets what its matchers accept and none of its routes takes.

    group_by, group_wait: requests with the same values of these labels that are made within `group_wait` ms go in one
    message; no labels: each by itself; EVERY_LABEL: those with the same labels. continue_: the next sibling is looked
    at as well. mute, active: its time intervals; not inherited, as there.
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
        """Whether time intervals matter anywhere in the tree."""
        return bool(self.mute or self.active) or any(route.timed for route in self.routes)

    def receivers(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Receivers for a label set, depth first, each once."""
        return tuple(dict.fromkeys(node.receiver for node in self._matching(labels)))

    def matching(self, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """The nodes that take a label set, depth first."""
        return tuple(self._matching(labels))

    def muted_until(self, labels: Mapping[str, str], at: Timestamp) -> Timestamp:
        """When the last of the nodes that take the label set is muted no longer; 0 = none is muted now."""
        return max(node._muted_until(at) for node in self._matching(labels))

    def group(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels that name the message in which a request with these labels goes."""
        return dict(labels) if EVERY_LABEL in self.group_by else {name: labels.get(name, "") for name in self.group_by}

    def _muted_until(self, at: Timestamp) -> Timestamp:
        ends = [item.until(at) or at + YEAR for item in self.mute if item.contains(at)]
        if self.active and not any(item.contains(at) for item in self.active):
            ends.append(min(item.begins(at) or at + YEAR for item in self.active))
        return max(ends, default=0)

    def _matching(self, labels: Mapping[str, str]) -> Iterator[Route]:
        taken = False
        for route in self.routes:
            if all(matcher.matches(labels) for matcher in route.matchers):
                taken = True
                yield from route._matching(labels)
                if not route.continue_:
                    break
        if not taken:
            yield self
