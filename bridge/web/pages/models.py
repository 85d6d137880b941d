"""`/`: all models, the worst first, with search and pages; last decisions and deliveries that wait."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from bridge.engine.api.views import ModelState
from bridge.ports import DecisionFilter
from bridge.web.pages.charts import SPARK_SLOTS
from bridge.web.pages.site import Paging, Site, tried

MODELS, DECISIONS, DELIVERIES = 50, 15, 15


def routes(site: Site) -> APIRouter:
    """The first page. q: words of the name; state: which to show; page: from 1."""
    router = APIRouter()

    @router.get("/")
    def index(
        q: Annotated[str, Query(max_length=500)] = "",
        state: Annotated[list[str] | None, Query()] = None,
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    ) -> HTMLResponse:
        wanted = [item for item in ModelState if item.value in (state or ())]
        found = site.queries.model_page(text=q, states=wanted, offset=(page - 1) * MODELS, limit=MODELS)
        counts = {name: count for name, count in found.counts.items() if count or name in wanted}
        rules = [rule for group in site.queries.groups(alerts=0) for rule in group.rules]
        problems: list[str] = []
        chosen = [item.value for item in wanted]
        trails = site.queries.trails([view.model for view in found.models], SPARK_SLOTS)
        return site.page(
            "models.html",
            found=found, trails=trails, counts=counts, q=q, chosen=chosen, rules=len(rules), problems=problems,
            paging=Paging(page, MODELS, found.total > page * MODELS, found.total),
            failing=[rule for rule in rules if rule.health == "err"],
            decisions=tried(lambda: site.queries.decisions(DecisionFilter(limit=DECISIONS)), problems),
            deliveries=tried(lambda: site.queries.pending_deliveries(DELIVERIES), problems),
            at_page=lambda number: site.link("/", q=q, state=chosen, page=number if number > 1 else ""),
            of_state=lambda name: site.link("/", q=q, state=name),
        )  # fmt: skip

    return router
