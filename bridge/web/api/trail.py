"""/api/v1/trail: what the rules saw of one model over their last slots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from bridge.domain.model import ModelKey
from bridge.domain.times import rfc3339
from bridge.engine.api.views import Queries, SignalView, TrailView
from bridge.web.api import encode
from bridge.web.http.responses import success

COLUMNS = ("value", "statistic", "threshold", "lower", "upper")
STATES = ("inactive", "pending", "firing")


def trail_routes(queries: Queries) -> APIRouter:
    """What is kept in memory: it begins with the start of the bridge."""
    router = APIRouter(prefix="/api/v1", tags=["state"])

    @router.get("/trail")
    def trail(
        project: str, pipeline: str, version: str, rule: str = "", last: Annotated[int, Query(ge=0, le=10_000)] = 0
    ) -> Response:
        """What each rule saw of a model, slot by slot, oldest first; null where there was none."""
        model = ModelKey(project, pipeline, version)
        view, (seen,) = queries.model(model), queries.trails([model], last)
        signals = () if view is None else view.signals
        wanted = [item for item in signals if item.rule in seen and rule in {"", item.rule}]
        return success({"trails": [_trail(item, seen[item.rule]) for item in wanted]})

    return router


def _trail(signal: SignalView, seen: TrailView) -> dict[str, Any]:
    return {
        "rule": signal.rule, "signal": signal.signal, "unit": signal.unit,
        "slots": [rfc3339(slot) for slot in seen.slots],
        **{name: _numbers(getattr(seen, name)) for name in COLUMNS},
        "state": [STATES[state] for state in seen.state],
    }  # fmt: skip


def _numbers(found: Sequence[float]) -> list[float | str | None]:
    """Kept with the seven digits of float32: more would be noise."""
    return [None if math.isnan(number) else encode.number(float(f"{number:.7g}")) for number in found]
