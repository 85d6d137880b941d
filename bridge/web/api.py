"""/api/v1: what a bridge knows, in Prometheus' envelope, and the few things one may ask of it."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from bridge import __version__
from bridge.domain.errors import BridgeError, RequestError, StoreError, UnknownRequest
from bridge.domain.model import ModelKey
from bridge.domain.request import RequestState
from bridge.domain.times import Timestamp, parse_rfc3339
from bridge.engine.views import Commands, Queries
from bridge.net.signature import SignatureError, verify
from bridge.ports import RequestFilter, StatusReport
from bridge.web import encode
from bridge.web.guard import refusal

Secrets = Callable[[], Sequence[str]]
Limit = Annotated[int, Query(ge=1, le=10_000)]
Names = Annotated[list[str], Query()]


def success(data: Any) -> JSONResponse:
    """Prometheus' envelope."""
    return JSONResponse({"status": "success", "data": data})


def failure(error: BridgeError) -> JSONResponse:
    """What an error means over HTTP."""
    if isinstance(error, UnknownRequest):
        return refusal(404, "not_found", str(error))
    if isinstance(error, RequestError):
        return refusal(409, "bad_data", str(error))
    return refusal(503 if isinstance(error, StoreError) else 500, "internal", str(error))


def rule_routes(queries: Queries) -> APIRouter:
    """What the rules say now, as Prometheus presents its own."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/rules")
    def rules(
        type: Literal["alert", "record"] | None = None,  # noqa: A002 - Prometheus' name
        rule_name: Annotated[list[str], Query(alias="rule_name[]")] = [],  # noqa: B006
        rule_group: Annotated[list[str], Query(alias="rule_group[]")] = [],  # noqa: B006
        file: Annotated[list[str], Query(alias="file[]")] = [],  # noqa: B006
    ) -> JSONResponse:
        """Rules with their pending and firing alerts, as Prometheus presents its own."""
        groups = []
        for group in queries.groups() if type != "record" else []:
            if (rule_group and group.name not in rule_group) or (file and group.file not in file):
                continue
            found = [encode.rule(item) for item in group.rules if not rule_name or item.name in rule_name]
            if found or not rule_name:
                groups.append(encode.group(group, found))
        return success({"groups": groups})

    @router.get("/alerts")
    def alerts() -> JSONResponse:
        """Pending and firing alerts of all rules."""
        found = [encode.alert(item) for group in queries.groups() for rule in group.rules for item in rule.alerts]
        return success({"alerts": found})

    return router


def state_routes(queries: Queries) -> APIRouter:
    """Models, and the bridge itself."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/models")
    def models(state: str = "", limit: Limit = 1000, offset: Annotated[int, Query(ge=0)] = 0) -> JSONResponse:
        """Models with their state and last readings."""
        found = [item for item in queries.models() if state in {"", item.state.value}]
        return success({"total": len(found), "models": [encode.model(item) for item in found[offset : offset + limit]]})

    @router.get("/status/buildinfo")
    def buildinfo() -> JSONResponse:
        """Version of the bridge."""
        return success({"version": __version__, "pythonVersion": platform.python_version()})

    @router.get("/status/config")
    def configuration() -> JSONResponse:
        """The configuration in force, secrets hidden."""
        return success({"yaml": queries.configuration()})

    return router


def history_routes(queries: Queries) -> APIRouter:
    """Decisions and requests."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/decisions")
    def decisions(
        project: str = "", pipeline: str = "", version: str = "", rule: str = "", since: str = "", limit: Limit = 100
    ) -> JSONResponse:
        """Decisions, newest first; of one model when project, pipeline and version are given."""
        given = [bool(part) for part in (project, pipeline, version)]
        if any(given) and not all(given):
            return refusal(400, "bad_data", "a model is project, pipeline and version")
        try:
            after = parse_rfc3339(since) if since else 0
        except ValueError as error:
            return refusal(400, "bad_data", f"since: {error}")
        model = ModelKey(project, pipeline, version) if all(given) else None
        found = queries.decisions(model, rule, after, limit)
        return success({"decisions": [encode.decision(item) for item in found]})

    @router.get("/requests")
    def requests(
        state: Names = [], project: str = "", pipeline: str = "", version: str = "",  # noqa: B006
        limit: Limit = 100, offset: Annotated[int, Query(ge=0)] = 0,
    ) -> JSONResponse:  # fmt: skip
        """Requests, newest first."""
        try:
            states = tuple(RequestState(item) for item in state)
        except ValueError:
            return refusal(400, "bad_data", f"state is one of {', '.join(item.value for item in RequestState)}")
        found = queries.requests(RequestFilter(states, project, pipeline, version, limit, offset))
        return success({"requests": [encode.request(item) for item in found]})

    @router.get("/requests/{request_id}")
    def request(request_id: str) -> JSONResponse:
        """One request with its deliveries."""
        record = queries.request(request_id)
        if record is None:
            return refusal(404, "not_found", f"there is no request {request_id!r}")
        deliveries = [encode.delivery(item) for item in queries.deliveries(request_id)]
        return success({**encode.request(record), "deliveries": deliveries})

    return router


def acting_routes(commands: Commands, secrets: Secrets, now: Callable[[], Timestamp]) -> APIRouter:
    """What one may ask of a bridge."""
    router = APIRouter()

    def reload() -> Response:
        """Read the configuration again."""
        result = commands.reload()
        return Response("" if result.ok else f"failed to reload config: {result.message}\n", 200 if result.ok else 500)

    for method in ("POST", "PUT"):
        router.add_api_route("/-/reload", reload, methods=[method], operation_id=f"reload_{method.lower()}")

    @router.post("/api/v1/requests/{request_id}/redrive")
    def redrive(request_id: str, destination: str | None = None) -> JSONResponse:
        """Queue the dead deliveries of a request again."""
        return success({"redriven": commands.redrive(request_id, destination)})

    @router.post("/api/v1/requests/{request_id}/status")
    async def status(request_id: str, request: Request) -> JSONResponse:
        """A coordinator's word on a request, signed when a secret is set, else from this machine only."""
        body = await request.body()
        problem = _unsigned(request, body, secrets(), now())
        if problem is not None:
            return problem
        try:
            report = _report(request_id, json.loads(body), now())
        except ValueError as error:
            return refusal(400, "bad_data", str(error))
        record = commands.report_status(report)
        return success({"id": record.id, "state": record.state.value})

    return router


def _unsigned(request: Request, body: bytes, secrets: Sequence[str], now: Timestamp) -> JSONResponse | None:
    if not secrets:
        host = request.client.host if request.client else ""
        if host in {"127.0.0.1", "::1"}:
            return None
        return refusal(403, "forbidden", "without a secret, status reports are taken from this machine only")
    try:
        verify(secrets, request.headers, body, now)
    except SignatureError as error:
        return refusal(401, "unauthorized", str(error))
    return None


def _report(request_id: str, body: Any, now: Timestamp) -> StatusReport:
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object with a state")  # noqa: TRY004 - answered as 400
    allowed = [item.value for item in RequestState if RequestState.REQUESTED.may_become(item)]
    if body.get("state") not in allowed:
        raise ValueError(f"state must be one of {', '.join(allowed)}")
    texts = {key: str(body.get(key) or "")[:4096] for key in ("message", "new_version", "reference")}
    at = parse_rfc3339(body["at"]) if isinstance(body.get("at"), str) else now
    return StatusReport(request_id, RequestState(body["state"]), min(at, now), **texts)
