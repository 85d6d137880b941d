"""Response bodies of the API, as msgspec structs; their JSON Schemas are generated from the types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from bridge.coordinator.records import Record
from bridge.domain.times import Timestamp, rfc3339
from bridge.net.problem import Body, FieldError, Problem

_STATES = ["accepted", "running", "succeeded", "failed", "cancelled", "lost"]
State = Annotated[str, Meta(examples=_STATES)]
Reference = Annotated[str, Meta(description="The coordinator's name for the request.", examples=["run-17"])]
NewVersion = Annotated[str, Meta(description="Version of the retrained model, as printed by the command.")]
Origin = Annotated[str, Meta(description="How the request arrived first.", examples=["api", "alertmanager"])]
Repeats = Annotated[int, Meta(description="How many times the id was received again.")]
Ignored = Annotated[dict[str, int], Meta(examples=[{"resolved": 2, "no_request_id": 1}])]


class RequestAnswer(Body):
    """Retrain request with its status. Instants are RFC 3339, null = has not happened."""

    id: str
    state: State
    reference: Reference
    message: str
    new_version: NewVersion
    updated_at: str
    project: str
    pipeline: str
    version: str
    reason: str
    origin: Origin
    repeats: Repeats
    received_at: str
    started_at: str | None
    ended_at: str | None


class ListAnswer(Body):
    """One page of requests; `total` counts all that match."""

    requests: list[RequestAnswer]
    total: int


class AlertsAnswer(Body):
    """Outcome of a notification: request ids by outcome, and the number of ignored alerts by reason."""

    accepted: list[str]
    known: list[str]
    ignored: Ignored
    errors: list[FieldError]


def response(body: Body, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with this body."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def schemas() -> dict[str, Any]:
    """Return the JSON Schemas of all bodies by name."""
    bodies = [Problem, RequestAnswer, ListAnswer, AlertsAnswer]
    return msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")[1]


def content(body: type[Body], media_type: str = "application/json") -> dict[str, Any]:
    """Return the content of a response in OpenAPI, with a reference to the schema of its body."""
    return {"content": {media_type: {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}}}


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
