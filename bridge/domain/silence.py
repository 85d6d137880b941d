"""Silences of Alertmanager, as far as they hold a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.domain.matchers import Matcher
from bridge.domain.times import Timestamp


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence. Instants in ms. All matchers must match, as in Alertmanager.

    matchers: those that could be parsed.
    unclear: description of what could not be parsed, "" = everything was. The scope of an unclear silence is unknown.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: Timestamp
    ends_at: Timestamp
    created_by: str = ""
    comment: str = ""
    unclear: str = ""

    def silences(self, labels: Mapping[str, str], at: Timestamp) -> bool:
        """Return whether the silence matches these labels at `at`; False if it is unclear."""
        return not self.unclear and self._matches(labels, at)

    def may_silence(self, labels: Mapping[str, str], at: Timestamp) -> bool:
        """Return whether the silence is unclear and its parsed matchers match these labels at `at`."""
        return bool(self.unclear) and self._matches(labels, at)

    def _matches(self, labels: Mapping[str, str], at: Timestamp) -> bool:
        return self.starts_at <= at < self.ends_at and all(matcher.matches(labels) for matcher in self.matchers)
