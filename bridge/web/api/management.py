"""Management endpoints: reload, retry, redrive, and status reports of coordinators."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from bridge.domain.printable import storable
from bridge.domain.request import RequestState
from bridge.domain.times import Timestamp, parse_rfc3339
from bridge.domain.wording import kind, near
from bridge.engine.api.interface import Commands
from bridge.net.problem import refusal
from bridge.net.request_body import is_json
from bridge.net.session import NetError
from bridge.net.signature import SignatureError, verify
from bridge.ports import StatusReport
from bridge.web.api import request_structs
from bridge.web.http.identity import FORWARDED_BY
from bridge.web.http.responses import success
from bridge.web.http.settings import is_loopback

Secrets = Callable[[], Sequence[str]]
_MAX_TEXT = 4096  # characters
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via", FORWARDED_BY)
STATES = [state.value for state in RequestState if RequestState.REQUESTED.may_become(state)]


class StatusBody(msgspec.Struct):
    """Body of a status report; unknown fields are ignored. id: if present, must equal the id in the URL."""

    state: Annotated[str, Meta(extra_json_schema={"enum": STATES})]
    at: str | None = None
    id: str | None = None
    message: str | None = None
    new_version: str | None = None
    reference: str | None = None


def management_routes(commands: Commands, secrets: Secrets, now: Callable[[], Timestamp]) -> APIRouter:
    """Return the routes. secrets: keys that sign reports; without any, only reports from this host are accepted."""
    router = APIRouter()

    def reload() -> PlainTextResponse:
        """Reload the configuration; if it is invalid, the previous one stays in force."""
        result = commands.reload()
        text = "" if result.ok else f"failed to reload config: {result.message}\n"
        return PlainTextResponse(text, 200 if result.ok else 500)

    for method in ("POST", "PUT"):
        router.add_api_route(
            "/-/reload",
            reload,
            methods=[method],
            response_class=PlainTextResponse,
            tags=["management"],
            operation_id=f"reload_{method.lower()}",
        )

    @router.post("/api/v1/requests/{request_id}/redrive", tags=["actions"])
    def redrive(request_id: str, destination: str | None = None) -> Response:
        """Requeue the dead deliveries of a request: all, or those of one destination."""
        return success(request_structs.Redriven(redriven=commands.redrive(request_id, destination)))

    @router.post("/api/v1/requests/{request_id}/retry", tags=["actions"])
    def retry(request_id: str) -> Response:
        """Retry at once the deliveries that wait for their next attempt, under the same id."""
        return success(request_structs.Retried(retried=commands.retry(request_id)))

    @router.post(
        "/api/v1/requests/{request_id}/status", tags=["actions"], summary="Status report", openapi_extra=_body_schema()
    )
    async def status(request_id: str, request: Request) -> Response:
        """Report the status of a request; must be signed if a secret is set, else must come from this host."""
        body = await request.body()
        if not is_json(request.headers):
            return refusal(415, "Content-Type must be application/json")
        return await run_in_threadpool(_process, commands, secrets, request, request_id, body, now())

    return router


def _process(
    commands: Commands, secrets: Secrets, request: Request, request_id: str, body: bytes, now: Timestamp
) -> Response:
    """Check and record a report. Runs in a thread: secrets are files, and the engine may be busy."""
    try:
        keys = secrets()
    except (NetError, ValueError) as error:
        return refusal(503, f"cannot read a secret: {error}", {"Retry-After": "30"})
    problem = _authenticate(request, keys, body, now)
    if problem is not None:
        return problem
    try:
        decoded = _decode(body)
        report = _report(request_id, decoded, now)
    except ValueError as error:
        return refusal(400, str(error))
    if keys and not _is_signed_for(request_id, decoded, request.headers):
        return refusal(
            401, "the signature does not cover this request: start webhook-id with its id, or include it as `id`"
        )
    record = commands.report_status(report)
    if record.state.terminal and report.state.terminal and record.state is not report.state:
        return refusal(409, f"the request has already ended as {record.state.value}")
    return success(request_structs.Status(id=record.id, state=record.state))


def _authenticate(request: Request, secrets: Sequence[str], body: bytes, now: Timestamp) -> Response | None:
    """Return None if the report may be accepted, else the response that refuses it."""
    if secrets:
        try:
            verify(secrets, request.headers, body, min(now, int(time.time() * 1000)))  # the bridge's may be ahead
        except SignatureError as error:
            return refusal(401, str(error))
        return None
    # A proxy or a standby on this host forwards requests of other hosts.
    forwarded = any(name in request.headers for name in _FORWARDED)
    if request.client is not None and is_loopback(request.client.host) and not forwarded:
        return None
    return refusal(403, "without a secret, status reports are accepted only from this host")


def _decode(body: bytes) -> StatusBody:
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise ValueError(f"the body must be a JSON object with a state, not {kind(given)}")  # noqa: TRY004
    known = {name: given[name] for name in StatusBody.__struct_fields__ if given.get(name) is not None}
    for name, value in known.items():
        if not isinstance(value, str):
            raise ValueError(f"{name}: must be text, not {kind(value)}")  # noqa: TRY004
    if "state" not in known:
        raise ValueError(f"state: is missing; one of {', '.join(STATES)}")
    return StatusBody(**known)


def _report(request_id: str, body: StatusBody, now: Timestamp) -> StatusReport:
    if body.state not in STATES:
        raise ValueError(f"state: unknown state {body.state[:40]!r}; {near(body.state, STATES)}")
    if body.id not in {None, request_id}:
        raise ValueError("the id in the body differs from the id in the URL")
    # A time in the future, from a wrong clock, would extend the cooldown.
    at = min(parse_rfc3339(body.at), now) if body.at else now
    texts = [storable(text or "")[:_MAX_TEXT] for text in (body.message, body.new_version, body.reference)]
    return StatusReport(request_id, RequestState(body.state), max(1, at), *texts)


def _is_signed_for(request_id: str, body: StatusBody, headers: Mapping[str, str]) -> bool:
    """Return whether the signed part names the request: the URL is unsigned, and must not allow a replay."""
    return body.id == request_id or headers.get("webhook-id", "").startswith(request_id)


def _body_schema() -> dict[str, object]:
    schema = msgspec.json.schema_components([StatusBody])[1]["StatusBody"]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
