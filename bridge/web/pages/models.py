"""`/`: all models, worst state first, with search and pagination; latest decisions and pending deliveries.

A search, and a page after the first, shows only models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from bridge.engine.api.views import ModelState, SignalView
from bridge.ports import DecisionFilter
from bridge.web.pages.charts import SPARK_SLOTS
from bridge.web.pages.site import Paging, Site, read

MODELS, DECISIONS, DELIVERIES = 50, 15, 15
SIGNALS = 3  # rules that a row shows; more would make a page with many rules too large
_STATES = ("firing", "pending")


def foremost(signals: Sequence[SignalView]) -> list[SignalView]:
    """Return the signals that a row shows: firing and pending ones first, then breached and inconclusive ones."""
    return sorted(
        signals, key=lambda item: (item.state not in _STATES, item.state != _STATES[0], item.verdict == "ok")
    )[:SIGNALS]


def routes(site: Site) -> APIRouter:
    """Return the routes.

    q: words of the model's name. state: states to show. without: rule that does not evaluate them.
    page: page number from 1.
    """
    router = APIRouter()

    @router.get("/")
    def index(
        q: Annotated[str, Query(max_length=500)] = "",
        state: Annotated[list[str] | None, Query()] = None,
        without: Annotated[str, Query(max_length=500)] = "",
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    ) -> HTMLResponse:
        states = [item for item in ModelState if item.value in (state or ())]
        listing = site.queries.model_page(
            text=q, states=states, without=without, offset=(page - 1) * MODELS, limit=MODELS
        )
        counts = {name: count for name, count in listing.counts.items() if count or name in states}
        rules = [rule for group in site.queries.groups(alerts=0) for rule in group.rules]
        problems: list[str] = []
        chosen = [item.value for item in states]
        whole = not (q or states or without or page > 1)
        trails = site.queries.trails([view.model for view in listing.models], SPARK_SLOTS)
        return site.page(
            "models.html",
            listing=listing, trails=trails, counts=counts, q=q, chosen=chosen, without=without, rules=len(rules),
            problems=problems, foremost=foremost, most=SIGNALS, whole=whole,
            paging=Paging(page, MODELS, listing.total > page * MODELS, listing.total),
            failing=[rule for rule in rules if rule.health == "err"],
            decisions=read(lambda: site.queries.decisions(DecisionFilter(limit=DECISIONS)) if whole else [], problems),
            configured=site.queries.destinations(),
            deliveries=read(lambda: site.queries.pending_deliveries(DELIVERIES) if whole else [], problems),
            at_page=lambda number: site.link(
                "/", q=q, state=chosen, without=without, page=number if number > 1 else ""
            ),
            of_state=lambda name: site.link("/", q=q, state=name),
        )  # fmt: skip

    return router
