"""Views of Alertmanager's silences in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.domain.request import RequestRecord
from bridge.domain.silence import Silence
from bridge.domain.times import Timestamp


@dataclass(frozen=True, slots=True)
class SilenceView:
    """Silence of Alertmanager in force, and at most 100 requests that it holds or may cover."""

    silence: Silence
    requests: Sequence[RequestRecord]


@dataclass(frozen=True, slots=True)
class SilencesView:
    """Page of the silences in force, those that hold requests first.

    total: number of silences in force.
    fetched_at: last successful fetch, 0 = never.
    fresh: True if that is recent enough. If not, no silence holds a request, and `holds_unknown` decides.
    holds_unknown: True if every request is held while the silences are not fresh.
    failing: error by address of each Alertmanager that does not answer.
    """

    silences: Sequence[SilenceView]
    total: int
    fetched_at: Timestamp
    fresh: bool
    holds_unknown: bool
    failing: Mapping[str, str]
