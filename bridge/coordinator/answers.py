"""Response bodies of the API."""

from __future__ import annotations

from pydantic import BaseModel, Field

from bridge.coordinator.problem import FieldProblem
from bridge.coordinator.records import Record
from bridge.domain.times import Timestamp, rfc3339


class RequestAnswer(BaseModel):
    """Retrain request with its status. Instants are RFC 3339, null = has not happened."""

    id: str
    state: str = Field(examples=["accepted", "running", "succeeded", "failed", "cancelled", "lost"])
    reference: str = Field(description="The coordinator's name for the request.", examples=["run-17"])
    message: str
    new_version: str = Field(description="Version of the retrained model, as printed by the command.")
    updated_at: str
    project: str
    pipeline: str
    version: str
    reason: str
    origin: str = Field(description="How the request arrived first.", examples=["api", "alertmanager"])
    repeats: int = Field(description="How many times the id was received again.")
    received_at: str
    started_at: str | None
    ended_at: str | None


class ListAnswer(BaseModel):
    """One page of requests; `total` counts all that match."""

    requests: list[RequestAnswer]
    total: int


class AlertsAnswer(BaseModel):
    """Outcome of a notification: request ids by outcome, and the number of ignored alerts by reason."""

    accepted: list[str]
    known: list[str]
    ignored: dict[str, int] = Field(examples=[{"resolved": 2, "no_request_id": 1}])
    errors: list[FieldProblem] = Field(default_factory=list)


def of(record: Record) -> RequestAnswer:
    """Return the response body for a record."""
    return RequestAnswer(
        id=record.id,
        state=record.state.value,
        reference=record.reference,
        message=record.message,
        new_version=record.new_version,
        updated_at=rfc3339(record.updated_at),
        project=record.project,
        pipeline=record.pipeline,
        version=record.version,
        reason=record.reason,
        origin=record.origin.value,
        repeats=record.repeats,
        received_at=rfc3339(record.received_at),
        started_at=_instant(record.started_at),
        ended_at=_instant(record.ended_at),
    )


def _instant(instant: Timestamp) -> str | None:
    return rfc3339(instant) if instant else None
