"""/api/v1/trail: recent values of one model for each rule, slot by slot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from bridge.domain.model import ModelKey
from bridge.domain.times import rfc3339
from bridge.engine.api.views import Queries, SignalView, TrailView
from bridge.web.api import encode, structs
from bridge.web.api.fields import Number
from bridge.web.http.responses import success

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


def _trail(signal: SignalView, trail: TrailView) -> structs.Trail:
    return structs.Trail(
        rule=signal.rule, signal=signal.signal, unit=signal.unit, slots=[rfc3339(slot) for slot in trail.slots],
        **{name: _numbers(getattr(trail, name)) for name in COLUMNS}, state=[STATES[state] for state in trail.state],
    )  # fmt: skip


def _numbers(column: Sequence[float]) -> list[Number | None]:
    """Encode a column with the seven digits of float32; more would be noise."""
    return [None if math.isnan(number) else encode.number(float(f"{number:.7g}")) for number in column]
