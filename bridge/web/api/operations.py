"""Operator endpoints: approve, release, withdraw, cancel and create requests, start runs again; pause and resume."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator
from starlette.responses import Response

from bridge.domain.model import ModelKey
from bridge.domain.printable import storable
from bridge.domain.request import Feedback
from bridge.engine.api.interface import Commands, Queries
from bridge.net.problem import refusal
from bridge.web.api import encode, request_structs, structs
from bridge.web.api.pauses import pause_length
from bridge.web.api.unseen import require_seen
from bridge.web.http.identity import Key, who
from bridge.web.http.responses import success

Text = Annotated[str, Field(max_length=1000)]
Name = Annotated[str, Field(max_length=200)]


_NAMES = {"project", "pipeline", "version"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    by: Name = ""

    @field_validator("*")
    @classmethod
    def _storable(cls, value: object) -> object:
        return storable(value) if type(value) is str else value


class ActBody(_Body):
    """Body of an operator action. by: name to record if the server has no users; note: reason to record."""

    note: Text = ""


_NO_BODY = ActBody()


class FeedbackBody(ActBody):
    """Opinion on a request. feedback: `useful`, `false` or `late`."""

    feedback: Feedback


class DiscardBody(ActBody):
    """Receiver that has destinations which are not configured any more."""

    receiver: Annotated[str, Field(min_length=1, max_length=1000)]


class CreateBody(_Body):
    """Retraining to request by hand. force: bypass closed gates, and accept a model that no signal has reported."""

    project: Annotated[str, Field(min_length=1)]
    pipeline: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    force: StrictBool = False


class PauseBody(_Body):
    """Scope ("" = any) and duration of a pause, in Prometheus format; "0s" ends the pause.

    force: accept a project or pipeline that no signal has reported.
    """

    project: str = ""
    pipeline: str = ""
    duration: str = "1d"
    note: Text = ""
    force: StrictBool = False


def operator_routes(queries: Queries, commands: Commands) -> APIRouter:
    """Return the routes. Every action is recorded with its user and time."""
    router = APIRouter(prefix="/api/v1", tags=["actions"])
    for action, text in (
        ("approve", "Approve a request that awaits approval; the other gates still apply."),
        ("release", "Send a held request now, bypassing every gate."),
        ("withdraw", "Withdraw a held request, or cancel the runs of a sent one. Its episode makes no other request."),
        ("cancel", "Cancel the runs of a request in flight."),
        ("start-again", "Repeat the start call of the runs that may have been started but cannot be found."),
    ):
        router.add_api_route(
            f"/requests/{{request_id}}/{action}", _act(commands, action), methods=["POST"],
            operation_id=action.replace("-", "_"), summary=action.replace("-", " ").capitalize(), description=text,
        )  # fmt: skip

    @router.post("/requests/{request_id}/feedback", summary="Feedback")
    def feedback(request_id: str, request: Request, body: FeedbackBody, key: Key = "") -> Response:
        """Record whether a request was useful, false (no retraining was needed) or late; the latest opinion counts."""
        by = who(request, body.by)
        return success(encode.request(commands.feedback(request_id, body.feedback, by, body.note, key)))

    @router.post("/requests", summary="Create request")
    def create(request: Request, body: CreateBody, key: Key = "") -> Response:
        """Request a retraining by hand; unless `force` is set, a closed gate or an unknown model refuses it."""
        require_seen(queries, body.model_dump(include=_NAMES), force=body.force)
        model = ModelKey(body.project, body.pipeline, body.version)
        record = commands.create(model, body.reason, who(request, body.by), force=body.force, key=key)
        return success(encode.request(record))

    @router.post("/deliveries/discard", summary="Discard deliveries")
    def discard(request: Request, body: DiscardBody) -> Response:
        """End the deliveries to destinations of a receiver that were removed from the configuration."""
        found = commands.discard(body.receiver, who(request, body.by), body.note)
        return success(
            request_structs.Discarded(
                discarded=found.deliveries, requests=found.requests, destinations=list(found.destinations)
            )
        )

    @router.get("/pause", summary="Active pauses")
    def pauses() -> Response:
        """List the active pauses."""
        return success(structs.Pauses(pauses=[encode.pause(item) for item in commands.pauses()]))

    @router.post("/pause")
    def pause(request: Request, body: PauseBody) -> Response:
        """Pause sending for a pipeline, a project or everything; a duration of `0s` ends the pause."""
        try:
            length = pause_length(body.duration, body.project, body.pipeline)
        except ValueError as error:
            return refusal(400, str(error))
        require_seen(queries, body.model_dump(include=_NAMES), force=body.force or not length)
        created = commands.pause(body.project, body.pipeline, length, who(request, body.by), body.note)
        return success(encode.pause(created))

    return router


def _act(commands: Commands, action: str):  # type: ignore[no-untyped-def]  # FastAPI reads the inner signature
    def act(request_id: str, request: Request, body: Annotated[ActBody, Body()] = _NO_BODY, key: Key = "") -> Response:
        return success(encode.request(commands.act(request_id, action, who(request, body.by), body.note, key)))

    return act
