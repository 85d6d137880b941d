"""Reports of a tick and of a delivery attempt, for telemetry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bridge.domain.rule import DEFAULT_SERVER
from bridge.domain.times import Timestamp
from bridge.ports.sinks import Delivery


@dataclass(frozen=True, slots=True)
class QueryReport:
    """Queries of one signal in one slot.

    seconds: duration.
    elements: number of series in the responses.
    skipped: reason -> number of series that were not used.
    error: SourceError.reason, "" = success.
    message: message of the error.
    server: name of the server that was queried.
    """

    name: str
    seconds: float
    elements: int
    skipped: Mapping[str, int]
    error: str = ""
    message: str = ""
    server: str = DEFAULT_SERVER


@dataclass(frozen=True, slots=True)
class TickReport:
    """Result of one evaluation of a group, for telemetry after the commit.

    seconds: duration.
    events: kind of event -> number of samples.
    decisions: (rule, outcome) -> number of decisions.
    missed: number of missed slots that were evaluated afterwards.
    errors: rule -> message.
    queued: number of queued deliveries, of requests and ends of episodes.
    verdicts: (rule, recovery verdict) -> number of retrainings.
    answers: rule -> quality of its responses (engine/evaluation/answers.py).
    """

    group: str
    slot: Timestamp
    seconds: float
    queries: tuple[QueryReport, ...]
    events: Mapping[str, int]
    decisions: Mapping[tuple[str, str], int]
    missed: int = 0
    errors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    queued: int = 0
    verdicts: Mapping[tuple[str, str], int] = field(default_factory=lambda: MappingProxyType({}))
    answers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """One HTTP attempt of a delivery.

    seconds: duration.
    dead: True if there will be no further attempt.
    """

    destination: str
    delivery: Delivery
    seconds: float
    dead: bool
    request_id: str
