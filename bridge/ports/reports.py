"""What a tick and an attempt tell of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bridge.domain.times import Timestamp
from bridge.ports.sinks import Delivery


@dataclass(frozen=True, slots=True)
class QueryReport:
    """One signal's queries in one slot."""

    name: str
    seconds: float
    elements: int
    skipped: Mapping[str, int]
    error: str = ""  # SourceError.reason
    message: str = ""


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one evaluation of a group did: frozen, handed to telemetry after the commit."""

    group: str
    slot: Timestamp
    seconds: float
    queries: tuple[QueryReport, ...]
    events: Mapping[str, int]
    decisions: Mapping[tuple[str, str], int]  # (rule, outcome) -> count
    missed: int = 0
    caught_up: int = 0
    errors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # rule -> message
    queued: int = 0  # deliveries: requests, and ends of episodes
    verdicts: Mapping[tuple[str, str], int] = field(default_factory=lambda: MappingProxyType({}))  # (rule, verdict)
    told: bool = False  # something is new that only reminders of Alertmanagers tell
    answers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # rule -> engine.answers.Quality


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """One HTTP attempt of a delivery."""

    destination: str
    delivery: Delivery
    seconds: float
    dead: bool
    request_id: str
