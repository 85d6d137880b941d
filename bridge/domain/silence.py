"""Alertmanager's silences, as far as they keep a request back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.domain.matchers import Matcher
from bridge.domain.times import Timestamp


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence. Instants in ms. All matchers have to match, as in Alertmanager."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: Timestamp
    ends_at: Timestamp
    created_by: str = ""
    comment: str = ""

    def silences(self, labels: Mapping[str, str], at: Timestamp) -> bool:
        """Whether it covers an alert with these labels at instant `at`."""
        return self.starts_at <= at < self.ends_at and all(matcher.matches(labels) for matcher in self.matchers)
