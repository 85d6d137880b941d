"""The first page: models with their signals, last decisions, deliveries that wait."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.responses import HTMLResponse, Response

from bridge import __version__
from bridge.domain.errors import StoreError
from bridge.domain.request import Decision
from bridge.domain.times import Timestamp, rfc3339
from bridge.engine.views import ModelState, ModelView, Queries, RuleView
from bridge.ports import DeliveryRecord
from bridge.web.settings import WebSettings

SHOWN_MODELS, SHOWN_DECISIONS, SHOWN_DELIVERIES = 200, 30, 50
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


def page_routes(queries: Queries, settings: WebSettings, now: Callable[[], Timestamp]) -> APIRouter:
    """`/` and its style sheet."""
    router = APIRouter(include_in_schema=False)
    pages = Environment(loader=PackageLoader("bridge.web"), autoescape=select_autoescape(["html"]))
    pages.filters |= {"when": when, "figure": figure, "words": lambda text: text.replace("_", " ")}
    template = pages.get_template("index.html")

    @router.get("/")
    def index() -> HTMLResponse:
        text = template.render(
            page=_look(queries), shown=SHOWN_MODELS, ready=queries.ready(), at=now(), prefix=settings.prefix,
            version=__version__, dashboard=settings.dashboard,
        )  # fmt: skip
        return HTMLResponse(text)

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


def when(instant: Timestamp) -> str:
    """Date and time to the second, UTC; a dash for what has not happened."""
    return rfc3339(instant)[:19].replace("T", " ") if instant else "-"


def figure(value: float | None) -> str:
    """A number for people: six digits are enough; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.6g}"
