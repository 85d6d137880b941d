"""Alertmanager's silences, as far as they keep a request back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.domain.matchers import Matcher
from bridge.domain.times import Timestamp


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence. Instants in ms. All matchers have to match, as in Alertmanager.

    unclear: what of it cannot be understood, "" when all is. What it covers is not known then; its matchers are those
    that are understood.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: Timestamp
    ends_at: Timestamp
    created_by: str = ""
    comment: str = ""
    unclear: str = ""

    def silences(self, labels: Mapping[str, str], at: Timestamp) -> bool:
        """Return whether it covers an alert with these labels at instant `at`, as far as it is understood."""
        return not self.unclear and self._matches(labels, at)

    def may_silence(self, labels: Mapping[str, str], at: Timestamp) -> bool:
        """Return whether it cannot be understood, and what of it can be does not exclude these labels."""
        return bool(self.unclear) and self._matches(labels, at)

    def _matches(self, labels: Mapping[str, str], at: Timestamp) -> bool:
        return self.starts_at <= at < self.ends_at and all(matcher.matches(labels) for matcher in self.matchers)
