"""The pages: all models with last decisions and deliveries that wait; one model, and why it is asked for or not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.responses import HTMLResponse, Response

from bridge import __version__
from bridge.domain.errors import SourceError, StoreError
from bridge.domain.explain import Explanation
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, RequestRecord
from bridge.domain.times import Timestamp, rfc3339
from bridge.engine.views import ModelState, ModelView, Queries, RuleView
from bridge.ports import DeliveryRecord, RequestFilter
from bridge.web.settings import WebSettings

SHOWN_MODELS, SHOWN_DECISIONS, SHOWN_DELIVERIES, SHOWN_REQUESTS = 200, 30, 50, 20
T = TypeVar("T")
_ORDER = {state: place for place, state in enumerate(ModelState)}
_STYLE = (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Page:
    """What one look at the bridge found. problem: why the store could not be read."""

    models: list[ModelView]
    counts: dict[str, int]
    rules: int
    failing: list[RuleView]
    decisions: list[Decision]
    deliveries: list[DeliveryRecord]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _ModelPage:
    """What is known of one model. view: None when no rule sees it now. problem: what could not be read, and why."""

    view: ModelView | None
    explanations: list[Explanation]
    requests: list[RequestRecord]
    decisions: list[Decision]
    problem: str = ""


def page_routes(queries: Queries, settings: WebSettings, now: Callable[[], Timestamp]) -> APIRouter:
    """`/`, `/model` and their style sheet."""
    router = APIRouter(include_in_schema=False)
    pages = Environment(loader=PackageLoader("bridge.web"), autoescape=select_autoescape(["html"]))
    pages.filters |= {"when": when, "figure": figure, "words": lambda text: text.replace("_", " ")}

    def link(model: ModelKey) -> str:
        return f"{settings.prefix}/model?{urlencode(model.labels())}"

    def shown(name: str, status: int = 200, **found: object) -> HTMLResponse:
        text = pages.get_template(name).render(
            **found, ready=queries.ready(), at=now(), prefix=settings.prefix, version=__version__,
            dashboard=settings.dashboard, link=link,
        )  # fmt: skip
        return HTMLResponse(text, status)

    @router.get("/")
    def index() -> HTMLResponse:
        return shown("index.html", page=_look(queries), shown=SHOWN_MODELS)

    @router.get("/model")
    def one(project: str, pipeline: str, version: str) -> HTMLResponse:
        model = ModelKey(project, pipeline, version)
        found = _look_at(queries, model)
        known = found.view is not None or found.requests or found.decisions or found.problem
        return shown("model.html", 200 if known else 404, page=found, model=model)

    @router.get("/style.css")
    async def style() -> Response:
        return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    return router


def _look(queries: Queries) -> _Page:
    """The models come from memory: they are shown even while the store cannot be read."""
    models = queries.models()
    counts = Counter(item.state for item in models)
    ordered = {state.value: counts[state] for state in ModelState if counts[state]}
    worst_first = sorted(models, key=lambda item: (_ORDER[item.state], item.model))[:SHOWN_MODELS]
    rules = [rule for group in queries.groups() for rule in group.rules]
    failing = [rule for rule in rules if rule.health == "err"]
    try:
        decisions, deliveries = queries.decisions(limit=SHOWN_DECISIONS), queries.pending_deliveries(SHOWN_DELIVERIES)
    except StoreError as error:
        return _Page(worst_first, ordered, len(rules), failing, [], [], str(error))
    return _Page(worst_first, ordered, len(rules), failing, decisions, deliveries)


def _look_at(queries: Queries, model: ModelKey) -> _ModelPage:
    """What can be read of a model; a store or a history that cannot be read hides nothing else."""
    view = next((item for item in queries.models() if item.model == model), None)
    problems: list[str] = []
    which = RequestFilter((), model.project, model.pipeline, model.version, SHOWN_REQUESTS)
    requests = _tried(lambda: queries.requests(which), problems)
    decisions = _tried(lambda: queries.decisions(model, limit=SHOWN_DECISIONS), problems)
    explanations = _tried(lambda: queries.explain(model), problems) if view is not None else []
    return _ModelPage(view, explanations, requests, decisions, "; ".join(dict.fromkeys(problems)))


def _tried(ask: Callable[[], list[T]], problems: list[str]) -> list[T]:
    try:
        return ask()
    except (StoreError, SourceError) as error:
        problems.append(f"Not all can be shown: {error}")
        return []


def when(instant: Timestamp) -> str:
    """Date and time to the second, UTC; a dash for what has not happened."""
    return rfc3339(instant)[:19].replace("T", " ") if instant else "-"


def figure(value: float | None) -> str:
    """A number for people: six digits are enough; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.6g}"
