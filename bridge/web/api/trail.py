"""/api/v1/trail and /api/v1/history: values of one model, slot by slot, since the start and from Prometheus."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from bridge.domain.errors import RequestError, SourceError
from bridge.domain.model import ModelKey
from bridge.domain.times import parse_duration, parse_rfc3339, rfc3339
from bridge.engine.api.interface import Queries
from bridge.engine.api.views import SignalView, TrailView
from bridge.net.problem import refusal
from bridge.web.api import encode, structs
from bridge.web.api.fields import Instant, Number
from bridge.web.http.responses import success
from bridge.web.upstream import Histories

COLUMNS = ("value", "statistic", "threshold", "lower", "upper")
STATES = ("inactive", "pending", "firing")


def trail_routes(queries: Queries) -> APIRouter:
    """Return the route. Trails are in memory only, and begin with the start of the bridge."""
    router = APIRouter(prefix="/api/v1", tags=["state"])

    @router.get("/trail")
    def trail(
        project: str, pipeline: str, version: str, rule: str = "", last: Annotated[int, Query(ge=0, le=10_000)] = 0
    ) -> Response:
        """Return the recent values of a model for each rule, slot by slot, oldest first; null for missing values."""
        model = ModelKey(project, pipeline, version)
        view, (trails,) = queries.model(model), queries.trails([model], last)
        signals = () if view is None else view.signals
        selected = [item for item in signals if item.rule in trails and rule in {"", item.rule}]
        return success(structs.Trails(trails=[_trail(item, trails[item.rule]) for item in selected]))

    return router


def history_routes(queries: Queries, histories: Histories | None) -> APIRouter:
    """Return the route of earlier values."""
    router = APIRouter(prefix="/api/v1", tags=["state"])

    @router.get("/history")
    def history(
        project: str, pipeline: str, version: str, rule: str,
        last: Literal["1h", "6h", "1d", "7d", "30d"] = "1d", until: Instant = "",
    ) -> Response:  # fmt: skip
        """Return values of a rule's signal for one model from Prometheus: at most 240 of the period before `until`."""
        known = {item.name for group in queries.groups(alerts=0) for item in group.rules}
        if histories is None or rule not in known:
            return refusal(404, f"there is no rule {rule!r}")
        try:
            end = parse_rfc3339(until) if until else 0
        except ValueError as error:
            return refusal(400, f"until: {error}")
        try:
            found = histories.read(ModelKey(project, pipeline, version), rule, parse_duration(last), end)
        except (RequestError, SourceError) as error:
            return refusal(503, str(error), {"Retry-After": "5"})
        return success(structs.SignalHistory(slots=[rfc3339(at) for at in found.slots], value=_numbers(found.value)))

    return router


def _trail(signal: SignalView, trail: TrailView) -> structs.Trail:
    return structs.Trail(
        rule=signal.rule, signal=signal.signal, unit=signal.unit, slots=[rfc3339(slot) for slot in trail.slots],
        **{name: _numbers(getattr(trail, name)) for name in COLUMNS}, state=[STATES[state] for state in trail.state],
    )  # fmt: skip


def _numbers(column: Sequence[float]) -> list[Number | None]:
    """Encode a column with the seven digits of float32; more would be noise."""
    return [None if math.isnan(number) else encode.number(float(f"{number:.7g}")) for number in column]
