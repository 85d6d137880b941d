"""`/model`: one model, what its rules saw, and why it is asked for or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import HTMLResponse

from bridge.domain.model import ModelKey
from bridge.domain.request import RequestRecord
from bridge.engine.api.views import ModelView, SignalView, TrailView
from bridge.ports import DecisionFilter, RequestFilter
from bridge.web.pages import charts
from bridge.web.pages.site import Site, figure, tried, when, words
from bridge.web.pages.summary import lived, sentence

DECISIONS, REQUESTS, ROWS = 30, 20, 20


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown of one rule. rows: the last slots, the newest first: slot, value, statistic, limit, state."""

    signal: SignalView
    summary: str
    drawing: Markup
    data: str
    rows: Sequence[tuple[int, float, float, float, str]]


def routes(site: Site) -> APIRouter:
    """The page of one model; 404 when nothing is known of it."""
    router = APIRouter()

    @router.get("/model")
    def one(project: str, pipeline: str, version: str) -> HTMLResponse:
        model, problems = ModelKey(project, pipeline, version), list[str]()
        queries, which = site.queries, RequestFilter((), project, pipeline, version, REQUESTS)
        view = queries.model(model)
        requests = tried(lambda: queries.requests(which), problems)
        siblings = tried(lambda: queries.requests(RequestFilter((), project, pipeline, limit=REQUESTS)), problems)
        episodes = tried(lambda: queries.episodes(model), problems)
        decisions = tried(lambda: queries.decisions(DecisionFilter(model, limit=DECISIONS)), problems)
        explanations = tried(lambda: queries.explain(model), problems) if view is not None else []
        known = view is not None or requests or episodes or decisions or problems
        trails = queries.trails([model])[0]
        return site.page(
            "model.html", 200 if known else 404, live=bool(known), model=model, view=view,
            lived=lived(episodes, requests),
            origin=next((item for item in siblings if item.new_version == version), None),
            decisions=decisions, explanations=explanations, problems=problems, trails=trails,
            sentence="" if view is None else sentence(view, requests, trails),
            pictures=[] if view is None else _pictures(view, trails, requests),
        )  # fmt: skip

    return router


def _pictures(view: ModelView, trails: Mapping[str, TrailView], requests: Sequence[RequestRecord]) -> list[Picture]:
    """One for each rule that saw a value; all begin where the first of them does."""
    marks = [mark for record in requests for mark in _marks(record)]
    began = min((slot for trail in trails.values() if (slot := charts.first(trail))), default=0)
    found = []
    for signal in view.signals:
        trail = trails.get(signal.rule)
        if trail is not None and charts.extent(trail.value) is not None:
            trail = charts.since(trail, began)
            columns = zip(trail.slots, trail.value, trail.statistic, trail.threshold, trail.state, strict=True)
            rows = [(*row[:4], ("inactive", "pending", "firing")[row[4]]) for row in columns]
            drawing, data = charts.picture(trail), charts.data(trail, marks)
            found.append(Picture(signal, _summary(trail), drawing, data, rows[: -ROWS - 1 : -1]))
    return found


def _summary(trail: TrailView) -> str:
    """The picture in words, for those who do not see it."""
    low, high = charts.extent(trail.value) or (0.0, 0.0)
    usual = charts.extent([*trail.lower[-1:], *trail.upper[-1:]])
    count = len(trail.slots)
    slots = "1 slot" if count == 1 else f"{count} slots"
    told = f"From {figure(low)} to {figure(high)} in {slots} since {when(trail.slots[0])} UTC"
    return told + (f"; usual is {figure(usual[0])} to {figure(usual[1])} now." if usual else ".")


def _marks(record: RequestRecord) -> list[tuple[int, str]]:
    """What happened to a request, to be marked in the pictures."""
    marks = [
        (record.request.triggered_at, "triggered"),
        (record.sent_at, "sent"),
        (record.ended_at, record.state.value),
    ]
    judged = words(record.verdict.value) if record.verdict is not None else ""
    return [(at, text) for at, text in [*marks, (record.verdict_at, judged)] if at and text]
