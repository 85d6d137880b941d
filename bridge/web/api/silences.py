"""Creation of silences in Alertmanager: /api/v1/silences, and the validation that the web page shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from bridge.domain.times import Timestamp
from bridge.net.problem import refusal
from bridge.ports.silencing import NewSilence, SilencingError
from bridge.web.api import encode, structs
from bridge.web.api.pauses import pause_length
from bridge.web.http.identity import who
from bridge.web.http.responses import success
from bridge.web.upstream import Upstream

LABELS = ("project", "pipeline", "version")
Name = Annotated[str, Field(max_length=500)]


class SilenceBody(BaseModel):
    """Labels ("" = any, at least one is set), duration in Prometheus format, and comment of a silence.

    address: Alertmanager that creates it, by default the first one.
    """

    model_config = ConfigDict(extra="forbid")
    project: Name = ""
    pipeline: Name = ""
    version: Name = ""
    duration: str = "1h"
    note: Annotated[str, Field(max_length=1000)] = ""
    by: Annotated[str, Field(max_length=200)] = ""
    address: Name = ""


def silence_routes(upstream: Upstream, now: Callable[[], Timestamp]) -> APIRouter:
    """Return the route that creates a silence."""
    router = APIRouter(prefix="/api/v1", tags=["actions"])

    @router.post("/silences", summary="Create silence")
    def create(request: Request, body: SilenceBody) -> Response:
        """Create a silence in an Alertmanager: it mutes the alerts of the models, and holds their requests."""
        silencer = upstream.silencer
        addresses = silencer.addresses() if silencer is not None else ()
        if silencer is None or not addresses:
            return refusal(409, "no receiver is an Alertmanager; a pause holds requests without one")
        if body.address and body.address not in addresses:
            return refusal(400, f"address: must be one of {', '.join(addresses)}")
        try:
            silence = new_silence(body.model_dump(), now(), who(request, body.by))
            made = silencer.create(body.address or addresses[0], silence)
        except ValueError as error:
            return refusal(400, str(error))
        except SilencingError as error:
            return refusal(503, str(error))
        return success(structs.CreatedSilence(id=made, until=encode.time_or_zero(silence.ends_at)))

    return router


def new_silence(values: dict[str, str], now: Timestamp, by: str) -> NewSilence:
    """Return the silence of a form or a body. values: the fields of SilenceBody. Raises ValueError."""
    labels = {name: values[name] for name in LABELS if values.get(name)}
    if not labels:
        raise ValueError("give a project, a pipeline or a version: a silence needs at least one")
    if not values.get("note"):
        raise ValueError("comment: Alertmanager requires one")
    length = pause_length(values.get("duration", ""), "", "")
    if not length:
        raise ValueError("duration: must be greater than 0, for example 1h")
    return NewSilence(labels, now, now + length, by, values["note"])
