"""The first page: models, last decisions, pending deliveries."""

from __future__ import annotations

import math
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, select_autoescape

from bridge import __version__
from bridge.domain.times import Timestamp, rfc3339
from bridge.engine.views import ModelState, Queries
from bridge.web.settings import WebSettings

SHOWN = 200
_STYLE = (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")


def _when(instant: Timestamp) -> str:
    return rfc3339(instant)[:19].replace("T", " ") if instant else "-"


def _figure(value: float) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.6g}"


def page_routes(queries: Queries, settings: WebSettings) -> APIRouter:
    """`/` and its style sheet."""
    router = APIRouter()
    pages = Environment(loader=PackageLoader("bridge.web"), autoescape=select_autoescape(["html"]))
    pages.filters |= {"when": _when, "figure": _figure}
    template = pages.get_template("index.html")

    @router.get("/", response_class=HTMLResponse, include_in_schema=False)
    def index() -> HTMLResponse:
        models = queries.models()
        worst_first = sorted(models, key=lambda item: (item.state is ModelState.HEALTHY, item.model))
        text = template.render(
            models=worst_first[:SHOWN], total=len(models), shown=SHOWN, decisions=queries.decisions(limit=30),
            deliveries=queries.pending_deliveries(50), ready=queries.ready(), prefix=settings.prefix,
            version=__version__,
        )  # fmt: skip
        return HTMLResponse(text)

    @router.get("/style.css", include_in_schema=False)
    def style() -> Response:
        return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    return router
