"""What the ledger keeps of a request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.domain.model import PipelineKey
from bridge.domain.request import RequestState
from bridge.domain.times import Timestamp


class Origin(StrEnum):
    """Which door a request came in by."""

    API = "api"
    ALERTMANAGER = "alertmanager"


@dataclass(frozen=True, slots=True)
class Submission:
    """A request as received. body: JSON in the form of the coordinator's API, handed to the command as it is."""

    id: str
    project: str
    pipeline: str
    version: str
    reason: str
    body: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Record:
    """A request and what became of it. Instants in ms since the epoch, 0 = has not happened.

    number: order of arrival, and the source of `reference`. origin: the door of the first arrival. repeats: how often
    its key came again. changes: counts changes of state; fences the report of one change from the next.
    report_attempts, report_since: of the report that is due to the bridge.
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
        """The coordinator's own name for the request."""
        return f"run-{self.number}"

    @property
    def owner(self) -> PipelineKey:
        return PipelineKey(self.project, self.pipeline)


class Taken(StrEnum):
    """What became of a submission; a closed set, so it may be a metric's label."""

    NEW = "new"
    KNOWN = "known"
    CONFLICT = "conflict"  # the id belongs to a request for another model


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a submission. differs: top-level fields of a repeated body that are not as in the first one."""

    taken: Taken
    record: Record
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Which requests to list, newest first; empty = any."""

    state: RequestState | None = None
    project: str = ""
    pipeline: str = ""
    limit: int = 100
    offset: int = 0
