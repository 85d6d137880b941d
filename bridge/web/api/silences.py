"""Silences in Alertmanager: list, creation and end at /api/v1/silences, and the validation that the page shares."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.responses import Response

from bridge.domain.times import Timestamp
from bridge.engine.api.interface import Queries
from bridge.net.problem import refusal
from bridge.ports.silencing import NewSilence, SilencingError, UnknownSilenceError
from bridge.web.api import encode, structs
from bridge.web.api.pauses import pause_length
from bridge.web.api.unseen import require_seen
from bridge.web.http.identity import who
from bridge.web.http.responses import success
from bridge.web.upstream import Upstream

log = logging.getLogger(__name__)
LABELS = ("project", "pipeline", "version")
Name = Annotated[str, Field(max_length=500)]
Id = Annotated[str, Path(max_length=200)]


class SilenceBody(BaseModel):
    """Labels ("" = any, at least one is set), duration in Prometheus format, and comment of a silence.

    address: Alertmanager that creates it, by default the first one.
    force: accept a model that no signal has reported.
    """

    model_config = ConfigDict(extra="forbid")
    project: Name = ""
    pipeline: Name = ""
    version: Name = ""
    duration: str = "1h"
    note: Annotated[str, Field(max_length=1000)] = ""
    by: Annotated[str, Field(max_length=200)] = ""
    address: Name = ""
    force: StrictBool = False


def silence_routes(queries: Queries, upstream: Upstream, now: Callable[[], Timestamp]) -> APIRouter:
    """Return the routes that list, create and end silences."""
    router = APIRouter(prefix="/api/v1", tags=["actions"])

    @router.get("/silences", summary="Silences in force")
    def silences(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100, offset: Annotated[int, Query(ge=0, le=2**31)] = 0
    ) -> Response:
        """List the silences in force, those that hold requests first; empty without an Alertmanager."""
        view = queries.silences(offset, limit)
        found = [] if view is None else [encode.silence(item) for item in view.silences]
        return success(structs.Silences(silences=found, total=0 if view is None else view.total))

    @router.post("/silences/{silence_id}/expire", summary="End silence")
    def expire(silence_id: Id, request: Request) -> Response:
        """End a silence in each Alertmanager that has it."""
        if upstream.silencer is None or not upstream.silencer.addresses():
            return refusal(409, "no receiver is an Alertmanager")
        try:
            expire_silence(upstream, silence_id, who(request, ""))
        except SilencingError as error:
            return refusal(404 if isinstance(error, UnknownSilenceError) else 503, str(error))
        return success(structs.ExpiredSilence(id=silence_id))

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
            silence = new_silence(body.model_dump(exclude={"force"}), now(), who(request, body.by))
            require_seen(queries, silence.labels, force=body.force)
            made = silencer.create(body.address or addresses[0], silence)
        except ValueError as error:
            return refusal(400, str(error))
        except SilencingError as error:
            return refusal(503, str(error))
        return success(structs.CreatedSilence(id=made, until=encode.time_or_zero(silence.ends_at)))

    return router


def expire_silence(upstream: Upstream, silence_id: str, by: str) -> None:
    """End a silence, and log who did it, which Alertmanager does not record. Raises SilencingError."""
    if upstream.silencer is None:
        raise SilencingError("no receiver is an Alertmanager")
    upstream.silencer.expire(silence_id)
    log.info("silence ended", extra={"silence": silence_id, "by": by})


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
