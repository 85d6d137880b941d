"""`/model`: one model, and why it is asked for or not."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from bridge.domain.model import ModelKey
from bridge.ports import DecisionFilter, RequestFilter
from bridge.web.pages.site import Site, tried

DECISIONS, REQUESTS = 30, 20


def routes(site: Site) -> APIRouter:
    """The page of one model; 404 when nothing is known of it."""
    router = APIRouter()

    @router.get("/model")
    def one(project: str, pipeline: str, version: str) -> HTMLResponse:
        model, problems = ModelKey(project, pipeline, version), list[str]()
        queries, which = site.queries, RequestFilter((), project, pipeline, version, REQUESTS)
        view = queries.model(model)
        requests = tried(lambda: queries.requests(which), problems)
        decisions = tried(lambda: queries.decisions(DecisionFilter(model, limit=DECISIONS)), problems)
        explanations = tried(lambda: queries.explain(model), problems) if view is not None else []
        known = view is not None or requests or decisions or problems
        return site.page(
            "model.html", 200 if known else 404, live=bool(known), model=model, view=view, requests=requests,
            decisions=decisions, explanations=explanations, problems=problems,
        )  # fmt: skip

    return router
