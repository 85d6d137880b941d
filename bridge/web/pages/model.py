"""`/model`: one model, its signals over time, and why a request was sent or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import HTMLResponse

from bridge.domain.model import ModelKey
from bridge.domain.request import RequestRecord
from bridge.engine.api.lifetimes import MOST_REQUESTS, next_retraining
from bridge.engine.api.views import ModelView, SignalView, TrailView
from bridge.ports import DecisionFilter, RequestFilter
from bridge.web.pages import charts
from bridge.web.pages.formats import clock, reading, unit_of, words
from bridge.web.pages.site import Site, read
from bridge.web.pages.summary import history, sentence

DECISIONS, REQUESTS, ROWS = 30, 20, 20


@dataclass(frozen=True, slots=True)
class Chart:
    """Chart of one rule.

    unit: unit of the values, "" for none.
    graph: URL of its query in Prometheus, "" if unknown.
    apart: whether the limit applies to a separate statistic.
    rows: (slot, value, statistic, limit, state) of the last slots, newest first.
    """

    signal: SignalView
    unit: str
    graph: str
    apart: bool
    summary: Markup
    drawing: Markup
    data: str
    rows: Sequence[tuple[int, float, float, float, str]]


def routes(site: Site) -> APIRouter:
    """Return the routes: the page of one model, 404 if nothing is known about it."""
    router = APIRouter()

    @router.get("/model")
    def one(project: str, pipeline: str, version: str) -> HTMLResponse:
        model, problems = ModelKey(project, pipeline, version), list[str]()
        queries, query = site.queries, RequestFilter((), project, pipeline, version, REQUESTS)
        view = queries.model(model)
        requests = read(lambda: queries.requests(query), problems)
        siblings = read(lambda: queries.requests(RequestFilter((), project, pipeline, limit=REQUESTS)), problems)
        episodes = read(lambda: queries.episodes(model), problems)
        decisions = read(lambda: queries.decisions(DecisionFilter(model, limit=DECISIONS)), problems)
        explanations = read(lambda: queries.explain(model), problems) if view is not None else []
        replacing = next((item for item in requests if item.replaces), None) if view is None else None
        known = view is not None or requests or episodes or decisions or problems
        of_project = read(lambda: queries.requests(RequestFilter((), project, limit=MOST_REQUESTS)), problems)
        slot = max((last for _, last, _ in queries.group_times()), default=0)
        trails = queries.trails([model])[0]
        return site.page(
            "model.html", 200 if known else 404, live=bool(known), model=model, view=view,
            history=history(episodes, requests),
            origin=next((item for item in siblings if item.new_version == version), None),
            replacing=replacing,
            successor=replacing and ModelKey(project, pipeline, replacing.new_version),
            decisions=decisions, explanations=explanations, problems=problems, trails=trails,
            forecast=next_retraining(of_project, model.owner, slot),
            sentence=Markup() if view is None else sentence(view, requests, trails),
            charts=[] if view is None else _charts(site, view, trails, requests),
        )  # fmt: skip

    return router


def _charts(
    site: Site, view: ModelView, trails: Mapping[str, TrailView], requests: Sequence[RequestRecord]
) -> list[Chart]:
    """Return a chart for each rule with a value; all start at the first slot with a value of any rule."""
    marks = [mark for record in requests for mark in _marks(record)]
    start = min((slot for trail in trails.values() if (slot := charts.first_slot_with_value(trail))), default=0)
    rules = {rule.name: rule.query for group in site.queries.groups(alerts=0) for rule in group.rules}
    result = []
    for signal in view.signals:
        trail = trails.get(signal.rule)
        if trail is not None and charts.extent(trail.value) is not None:
            trail = charts.trail_from(trail, start)
            columns = zip(trail.slots, trail.value, trail.statistic, trail.threshold, trail.state, strict=True)
            rows = [(*row[:4], ("inactive", "pending", "firing")[row[4]]) for row in columns][: -ROWS - 1 : -1]
            drawing, data = charts.picture(trail), charts.data(trail, marks)
            graph, apart = site.graph(rules.get(signal.rule, "")), charts.own_scale(trail)
            unit = unit_of(signal.unit, signal.event)
            result.append(Chart(signal, unit, graph, apart, _summary(trail, unit), drawing, data, rows))
    return result


def _summary(trail: TrailView, unit: str) -> Markup:
    """Describe the chart in words, for screen readers."""
    low, high = charts.extent(trail.value) or (0.0, 0.0)
    expected = charts.extent([*trail.lower[-1:], *trail.upper[-1:]])
    count = len(trail.slots)
    slots = "1 slot" if count == 1 else f"{count} slots"
    text = Markup("{} to {} in {} since {}").format(
        reading(low, unit), reading(high, unit), slots, clock(trail.slots[0])
    )  # fmt: skip
    if expected is None:
        return text + "."
    return text + f"; expected now: {reading(expected[0], unit)} to {reading(expected[1], unit)}."


def _marks(record: RequestRecord) -> list[tuple[int, str]]:
    """Return instant and label of each event of a request, to mark in the charts."""
    marks = [
        (record.request.triggered_at, "triggered"),
        (record.sent_at, "sent"),
        (record.ended_at, record.state.value),
    ]
    verdict = words(record.verdict.value) if record.verdict is not None else ""
    return [(at, text) for at, text in [*marks, (record.verdict_at, verdict)] if at and text]
