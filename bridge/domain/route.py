"""Alertmanager's routing tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.domain.matchers import Matcher


@dataclass(frozen=True, slots=True)
class Route:
    """A node: its receiver gets what its matchers accept and none of its routes takes.

    continue_: the next sibling is looked at as well.
    """

    receiver: str
    matchers: tuple[Matcher, ...] = ()
    continue_: bool = False
    routes: tuple[Route, ...] = ()

    def receivers(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Receivers for a label set, depth first, each once."""
        return tuple(dict.fromkeys(self._matching(labels)))

    def _matching(self, labels: Mapping[str, str]) -> Iterator[str]:
        taken = False
        for route in self.routes:
            if all(matcher.matches(labels) for matcher in route.matchers):
                taken = True
                yield from route._matching(labels)
                if not route.continue_:
                    break
        if not taken:
            yield self.receiver
