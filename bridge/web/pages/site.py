"""Shared parts of all pages: templates, formatting of times and numbers, links."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.responses import HTMLResponse

from bridge import __version__
from bridge.domain.errors import SourceError, StoreError
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision
from bridge.domain.times import Duration, Timestamp, format_duration, rfc3339
from bridge.engine.api.views import Commands, Queries
from bridge.web.api.fleet import Fleet, no_fleet
from bridge.web.http.settings import WebSettings
from bridge.web.pages.charts import own_scale, spark
from bridge.web.pages.static import versioned

LIVE_SECONDS = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """Renderer of all pages. now: returns the present instant. fleet: returns the fleet's state, None without one."""

    queries: Queries
    commands: Commands
    settings: WebSettings
    now: Callable[[], Timestamp]
    fleet: Fleet = no_fleet
    _templates: Environment = field(init=False, repr=False)

    def __post_init__(self) -> None:
        templates = Environment(loader=PackageLoader("bridge.web"), autoescape=select_autoescape(["html"]))
        templates.trim_blocks = templates.lstrip_blocks = True
        templates.filters |= {
            "when": when,
            "figure": figure,
            "words": words,
            "duration": duration,
            "spark": spark,
            "day": day,
        }
        templates.tests["apart"] = lambda trail: trail is not None and own_scale(trail)
        settings = self.settings
        templates.globals |= {
            "prefix": settings.prefix, "version": __version__, "dashboard": settings.dashboard,
            "model_link": self.model_link, "request_link": self.request_link, "decision_link": self.decision_link,
            "static": lambda name: f"{settings.prefix}/static/{versioned(name)}",
        }  # fmt: skip
        object.__setattr__(self, "_templates", templates)

    def page(self, name: str, status: int = 200, *, live: bool = True, **values: object) -> HTMLResponse:
        """Return the page of templates/`name` with these values. live: update it while it is visible."""
        text = self._templates.get_template(name).render(
            **values, ready=self.queries.ready(), at=self.now(), live=LIVE_SECONDS if live else 0
        )
        return HTMLResponse(text, status)

    def error(self, status: int, title: str, text: str) -> HTMLResponse:
        """Return an error page. text: the cause, and how to fix it."""
        return self.page("error.html", status, live=False, title=title, text=text)

    def link(self, path: str, **query: object) -> str:
        """Return the URL of a page, without empty parts of the query."""
        parameters = {name: value for name, value in query.items() if value or value == 0}
        return self.settings.prefix + path + (f"?{urlencode(parameters, doseq=True)}" if parameters else "")

    def model_link(self, model: ModelKey) -> str:
        """Return the URL of the model's page; it includes every label, even an empty one."""
        return f"{self.settings.prefix}/model?{urlencode(model.labels())}"

    def decision_link(self, decision: Decision) -> str:
        """Return the URL of the decision's page."""
        return f"{self.settings.prefix}/decisions/{decision.id}"

    def request_link(self, request_id: str) -> str:
        """Return the URL of the request's page."""
        return f"{self.settings.prefix}/requests/{quote(request_id, safe='')}"


@dataclass(frozen=True, slots=True)
class Paging:
    """Position in a paginated list.

    page: number of this page, from 1.
    size: items per page.
    more: whether there is a next page.
    total: number of all items; None if unknown.
    """

    page: int
    size: int
    more: bool
    total: int | None = None

    @property
    def first(self) -> int:
        """Number of the first row of this page, from 1."""
        return (self.page - 1) * self.size + 1


def read(query: Callable[[], list[T]], problems: list[str]) -> list[T]:
    """Return the result of `query`; if the store or Prometheus fails, return [] and append the error to `problems`."""
    try:
        return query()
    except (StoreError, SourceError) as error:
        text = f"This page is incomplete: {error}"
        if text not in problems:
            problems.append(text)
        return []


def when(instant: Timestamp) -> str:
    """Format date and time in UTC, to the second; 0 as a dash."""
    return rfc3339(instant)[:19].replace("T", " ") if instant else "-"


def day(instant: Timestamp) -> str:
    """Format weekday, date and minute in UTC, such as `Tuesday 2026-12-01 14:05`."""
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%A %Y-%m-%d %H:%M")


def figure(value: float | None) -> str:
    """Format a number with six significant digits; None and NaN as a dash."""
    return "-" if value is None or math.isnan(value) else f"{value:.6g}"


def duration(length: Duration) -> str:
    """Format a duration as Prometheus does; 0 as a dash."""
    return format_duration(length) if length else "-"


def words(text: str) -> str:
    """Replace the underscores of an identifier by spaces."""
    return text.replace("_", " ")
