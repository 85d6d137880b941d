"""What people may ask of a bridge: let a held request go, approve it, take it back, ask by hand, and pause."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from bridge.domain.model import ModelKey
from bridge.engine.api.views import Commands
from bridge.web.api import encode
from bridge.web.api.pauses import pause_length
from bridge.web.http.identity import who
from bridge.web.http.responses import refusal, success

Text = Annotated[str, Field(max_length=1000)]
Name = Annotated[str, Field(max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    by: Name = ""


class ActBody(_Body):
    """Who acts (when the server has no users of its own), and why."""

    note: Text = ""


_NO_BODY = ActBody()


class CreateBody(_Body):
    """A retraining to ask for by hand. force: through closed gates."""

    project: Annotated[str, Field(min_length=1)]
    pipeline: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    force: bool = False


class PauseBody(_Body):
    """What is paused ("" = any), and for how long, as Prometheus writes durations; "0s" goes on."""

    project: str = ""
    pipeline: str = ""
    duration: str = "1d"
    note: Text = ""


def people_routes(commands: Commands) -> APIRouter:
    """Every act is recorded with who did it and when."""
    router = APIRouter(prefix="/api/v1", tags=["acting"])
    for what, text in (
        ("approve", "Say yes to a request that awaits approval; the other gates still count."),
        ("release", "Send a held request now, past every gate."),
        ("withdraw", "Take back a request that is held; its episode asks no more."),
    ):
        router.add_api_route(
            f"/requests/{{request_id}}/{what}", _act(commands, what), methods=["POST"], operation_id=what,
            description=text,
        )  # fmt: skip

    @router.post("/requests")
    def create(request: Request, body: CreateBody) -> Response:
        """Ask for a retraining by hand; a closed gate refuses it, unless forced."""
        model = ModelKey(body.project, body.pipeline, body.version)
        record = commands.create(model, body.reason, who(request, body.by), force=body.force)
        return success(encode.request(record))

    @router.get("/pause")
    def pauses() -> Response:
        """The pauses that last."""
        return success({"pauses": [encode.pause(item) for item in commands.pauses()]})

    @router.post("/pause")
    def pause(request: Request, body: PauseBody) -> Response:
        """Send no request of a pipeline, a project or of all for a time."""
        try:
            length = pause_length(body.duration, body.project, body.pipeline)
        except ValueError as error:
            return refusal(400, str(error))
        made = commands.pause(body.project, body.pipeline, length, who(request, body.by), body.note)
        return success(encode.pause(made))

    return router


def _act(commands: Commands, what: str):  # type: ignore[no-untyped-def]  # FastAPI reads the inner signature
    def act(request_id: str, request: Request, body: Annotated[ActBody, Body()] = _NO_BODY) -> Response:
        return success(encode.request(commands.act(request_id, what, who(request, body.by), body.note)))

    return act
