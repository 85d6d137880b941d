"""Records of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.domain.model import PipelineKey
from bridge.domain.request import RequestState
from bridge.domain.times import Timestamp


class Origin(StrEnum):
    """Way in which a request arrived."""

    API = "api"
    ALERTMANAGER = "alertmanager"


@dataclass(frozen=True, slots=True)
class Submission:
    """Request as received. body: JSON in the format of the coordinator's API, passed to the command unchanged."""

    id: str
    project: str
    pipeline: str
    version: str
    reason: str
    body: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Record:
    """Request and its state. Instants in ms since the epoch, 0 = has not happened.

    number: order of arrival, used in `reference`. origin: how it arrived first. repeats: how many times the id was
    received again. changes: number of state changes; fences the report of one change from the next.
    report_attempts, report_since: of the pending report to the bridge.
    """

    number: int
    id: str
    project: str
    pipeline: str
    version: str
    reason: str
    body: str
    origin: Origin
    state: RequestState
    message: str
    new_version: str
    received_at: Timestamp
    started_at: Timestamp
    ended_at: Timestamp
    updated_at: Timestamp
    repeats: int
    changes: int
    report_attempts: int
    report_since: Timestamp

    @property
    def reference(self) -> str:
        """Coordinator's name for the request."""
        return f"run-{self.number}"

    @property
    def owner(self) -> PipelineKey:
        """Pipeline that the request belongs to."""
        return PipelineKey(self.project, self.pipeline)


class SubmissionOutcome(StrEnum):
    """Outcome of a submission; a closed set, used as a metric label."""

    NEW = "new"
    KNOWN = "known"
    CONFLICT = "conflict"  # the id belongs to a request for another model


@dataclass(frozen=True, slots=True)
class Receipt:
    """Result of a submission. differs: top-level fields in which a repeated body differs from the first one."""

    outcome: SubmissionOutcome
    record: Record
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Filter for listing requests, newest first; empty = any."""

    ids: tuple[str, ...] = ()
    state: RequestState | None = None
    project: str = ""
    pipeline: str = ""
    limit: int = 100
    offset: int = 0
