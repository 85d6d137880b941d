"""/api/v1: models, decisions, explanations and requests, in the envelope of Prometheus."""

from __future__ import annotations

import platform
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from bridge import __version__
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, PipelineKey
from bridge.domain.request import Outcome, RequestState
from bridge.domain.times import Timestamp, parse_rfc3339
from bridge.engine.api.interface import Queries
from bridge.engine.api.lifetimes import MOST_REQUESTS, next_retraining
from bridge.engine.api.views import ModelState
from bridge.net.problem import refusal
from bridge.ports import DecisionFilter, RequestFilter
from bridge.web.api import encode, request_structs, status_structs, structs
from bridge.web.api.fields import Instant
from bridge.web.api.fleet import Fleet, encoded
from bridge.web.http.responses import success

Limit = Annotated[int, Query(ge=1, le=10_000)]
_GREATEST = 2**62
Offset = Annotated[int, Query(ge=0, le=2**31)]


def state_routes(queries: Queries, fleet: Fleet) -> APIRouter:
    """Return the routes for models, and for the bridge itself."""
    router = APIRouter(prefix="/api/v1", tags=["state"])

    @router.get("/models")
    def models(
        state: Annotated[list[ModelState], Query()] = [],  # noqa: B006
        project: str = "", pipeline: str = "", version: str = "", rule: str = "",
        q: Annotated[str, Query(max_length=500)] = "", without_rule: Annotated[str, Query(max_length=500)] = "",
        limit: Limit = 1000, offset: Offset = 0,
    ) -> Response:  # fmt: skip
        """List models with their state and latest readings, sorted by name.

        With words in `q`, or `without_rule` (a rule that does not evaluate them), and no other name: worst first.
        """
        if (q or without_rule) and not (project or pipeline or version or rule):
            page = queries.model_page(text=q, states=state, without=without_rule, offset=offset, limit=limit)
            return success(structs.Models(total=page.total, models=[encode.model(item) for item in page.models]))
        page = queries.models_by_name(
            project=project, pipeline=pipeline, version=version, rule=rule, states=state, offset=offset, limit=limit
        )
        return success(structs.Models(total=page.total, models=[encode.model(item) for item in page.models]))

    @router.get("/status/buildinfo", summary="Build information")
    def buildinfo() -> Response:
        """Return the version of the bridge."""
        return success(status_structs.BuildInfo(version=__version__, python_version=platform.python_version()))

    @router.get("/status/config")
    def configuration() -> Response:
        """Return the configuration in force, with secrets hidden."""
        return success(status_structs.Configuration(yaml=queries.configuration()))

    @router.get("/status/config/changes", summary="Configuration changes")
    def changes() -> Response:
        """List the latest 20 changes, by reload or by start, newest first, with differences; secrets are hidden."""
        found = [
            status_structs.ConfigChange(
                at=encode.time_or_zero(item.at),
                event=item.event,
                diff=item.diff,
                error=item.error or None,
                replica=item.replica or None,
            )
            for item in queries.config_changes()
        ]
        return success(status_structs.ConfigChanges(changes=found))

    @router.get("/status/fleet", summary="Fleet")
    def status_of_fleet() -> Response:
        """Return the replicas and the owner; empty for a process that is alone."""
        return success(encoded(fleet()))

    return router


def decision_routes(queries: Queries) -> APIRouter:
    """Return the routes for decisions and explanations."""
    router = APIRouter(prefix="/api/v1", tags=["history"])

    @router.get("/decisions")
    def decisions(
        project: str = "", pipeline: str = "", version: str = "", rule: str = "",
        outcome: Annotated[list[Outcome], Query()] = [],  # noqa: B006
        since: Instant = "", until: Instant = "", before: Annotated[int, Query(ge=0, le=_GREATEST)] = 0,
        limit: Limit = 100,
    ) -> Response:  # fmt: skip
        """List decisions, newest first. `before`: value of `next` in the previous response, for the next page."""
        try:
            first, last = _instant("since", since), _instant("until", until)
        except ValueError as error:
            return refusal(400, str(error))
        query = DecisionFilter(None, rule, tuple(outcome), first, last, before, limit + 1, project, pipeline, version)
        records = queries.decisions(query)
        next_id = records[limit - 1].id if len(records) > limit else None
        return success(structs.Decisions(decisions=[encode.decision(item) for item in records[:limit]], next=next_id))

    @router.get("/explain")
    def explain(project: str, pipeline: str, version: str, rule: str = "", at: Instant = "") -> Response:
        """Explain, check by check, why a request was sent or not; a past instant is recomputed from history."""
        try:
            instant = _instant("at", at)
        except ValueError as error:
            return refusal(400, str(error))
        try:
            explanations = queries.explain(ModelKey(project, pipeline, version), rule, instant)
        except SourceError as error:
            return refusal(503, f"cannot query history: {error}")
        return success(structs.Explanations(explanations=[encode.explanation(item) for item in explanations]))

    return router


def request_routes(queries: Queries) -> APIRouter:
    """Return the routes for requests."""
    router = APIRouter(prefix="/api/v1", tags=["history"])

    @router.get("/requests")
    def requests(
        state: Annotated[list[RequestState], Query()] = [],  # noqa: B006
        project: str = "", pipeline: str = "", version: str = "", rule: str = "",
        since: Instant = "", until: Instant = "", limit: Limit = 100, after: str = "",
    ) -> Response:  # fmt: skip
        """List requests, newest first. `after`: value of `next` in the previous response, for the next page."""
        try:
            first, last = _instant("since", since), _instant("until", until)
        except ValueError as error:
            return refusal(400, str(error))
        query = RequestFilter(tuple(state), project, pipeline, version, limit + 1, after, rule, first, last)
        records = queries.requests(query)
        next_id = records[limit - 1].id if len(records) > limit else None
        return success(
            request_structs.Requests(requests=[encode.request(item) for item in records[:limit]], next=next_id)
        )

    @router.get("/deliveries", summary="Pending deliveries")
    def deliveries(limit: Limit = 100) -> Response:
        """List the deliveries that wait for an attempt, and the dead ones, oldest first."""
        found, configured = queries.pending_deliveries(limit), queries.destinations()
        return success(request_structs.Deliveries(deliveries=[encode.delivery(item, configured) for item in found]))

    @router.get("/forecast")
    def forecast(project: str, pipeline: str) -> Response:
        """Forecast when a pipeline needs its next retraining, from how long those of its project lasted."""
        records = queries.requests(RequestFilter((), project, limit=MOST_REQUESTS))
        now = max((last for _, last, _ in queries.group_times()), default=0)
        return success(encode.forecast(next_retraining(records, PipelineKey(project, pipeline), now)))

    @router.get("/requests/{request_id}")
    def request(request_id: str) -> Response:
        """Return one request with its deliveries and runs."""
        record = queries.request(request_id)
        if record is None:
            return refusal(404, f"request {request_id!r} not found")
        deliveries, runs = queries.deliveries(request_id), queries.runs(request_id)
        return success(encode.request_with_deliveries(record, deliveries, runs, queries.destinations()))

    return router


def _instant(name: str, text: str) -> Timestamp:
    try:
        return max(parse_rfc3339(text), 1) if text else 0  # nothing is older; 0 is no instant
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
