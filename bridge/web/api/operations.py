"""Operator endpoints: approve, release, withdraw, cancel and create requests, start runs again; pause and resume."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from bridge.domain.model import ModelKey
from bridge.domain.request import Feedback
from bridge.engine.api.views import Commands
from bridge.net.problem import refusal
from bridge.web.api import encode, structs
from bridge.web.api.pauses import pause_length
from bridge.web.http.identity import Key, who
from bridge.web.http.responses import success

Text = Annotated[str, Field(max_length=1000)]
Name = Annotated[str, Field(max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    by: Name = ""


class ActBody(_Body):
    """Body of an operator action. by: name to record if the server has no users; note: reason to record."""

    note: Text = ""


_NO_BODY = ActBody()


class FeedbackBody(ActBody):
    """Opinion on a request. feedback: `useful`, `false` or `late`."""

    feedback: Feedback


class CreateBody(_Body):
    """Retraining to request by hand. force: bypass closed gates."""

    project: Annotated[str, Field(min_length=1)]
    pipeline: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    force: bool = False


class PauseBody(_Body):
    """Scope ("" = any) and duration of a pause, in Prometheus format; "0s" ends the pause."""

    project: str = ""
    pipeline: str = ""
    duration: str = "1d"
    note: Text = ""


def operator_routes(commands: Commands) -> APIRouter:
    """Return the routes. Every action is recorded with its user and time."""
    router = APIRouter(prefix="/api/v1", tags=["actions"])
    for action, text in (
        ("approve", "Approve a request that awaits approval; the other gates still apply."),
        ("release", "Send a held request now, bypassing every gate."),
        ("withdraw", "Withdraw a held request, or cancel its runs; its episode makes no further request."),
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
        """Request a retraining by hand; a closed gate refuses it unless `force` is set."""
        model = ModelKey(body.project, body.pipeline, body.version)
        record = commands.create(model, body.reason, who(request, body.by), force=body.force, key=key)
        return success(encode.request(record))

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
        created = commands.pause(body.project, body.pipeline, length, who(request, body.by), body.note)
        return success(encode.pause(created))

    return router


def _act(commands: Commands, action: str):  # type: ignore[no-untyped-def]  # FastAPI reads the inner signature
    def act(request_id: str, request: Request, body: Annotated[ActBody, Body()] = _NO_BODY, key: Key = "") -> Response:
        return success(encode.request(commands.act(request_id, action, who(request, body.by), body.note, key)))

    return act
