"""What all pages share: templates, words for instants and numbers, links to each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
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
from bridge.web.http.settings import WebSettings
from bridge.web.pages.charts import own_scale, spark
from bridge.web.pages.static import versioned

LIVE_SECONDS = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """now: the present instant. Every page is rendered by `page`."""

    queries: Queries
    commands: Commands
    settings: WebSettings
    now: Callable[[], Timestamp]
    _templates: Environment = field(init=False, repr=False)

    def __post_init__(self) -> None:
        templates = Environment(loader=PackageLoader("bridge.web"), autoescape=select_autoescape(["html"]))
        templates.trim_blocks = templates.lstrip_blocks = True
        templates.filters |= {"when": when, "figure": figure, "words": words, "duration": duration, "spark": spark}
        templates.tests["apart"] = lambda trail: trail is not None and own_scale(trail)
        settings = self.settings
        templates.globals |= {
            "prefix": settings.prefix, "version": __version__, "dashboard": settings.dashboard,
            "model_link": self.model_link, "request_link": self.request_link, "decision_link": self.decision_link,
            "static": lambda name: f"{settings.prefix}/static/{versioned(name)}",
        }  # fmt: skip
        object.__setattr__(self, "_templates", templates)

    def page(self, name: str, status: int = 200, *, live: bool = True, **found: object) -> HTMLResponse:
        """A page from templates/`name`. live: it renews itself while somebody looks at it."""
        text = self._templates.get_template(name).render(
            **found, ready=self.queries.ready(), at=self.now(), live=LIVE_SECONDS if live else 0
        )
        return HTMLResponse(text, status)

    def error(self, status: int, title: str, text: str) -> HTMLResponse:
        """A page that says what went wrong, and what would be right."""
        return self.page("error.html", status, live=False, title=title, text=text)

    def link(self, path: str, **query: object) -> str:
        """The address of a page; parts of the query that are empty are left out."""
        kept = {name: value for name, value in query.items() if value or value == 0}
        return self.settings.prefix + path + (f"?{urlencode(kept, doseq=True)}" if kept else "")

    def model_link(self, model: ModelKey) -> str:
        """Every part of the name is in it, also one that is empty."""
        return f"{self.settings.prefix}/model?{urlencode(model.labels())}"

    def decision_link(self, decision: Decision) -> str:
        return f"{self.settings.prefix}/decisions/{decision.id}"

    def request_link(self, request_id: str) -> str:
        return f"{self.settings.prefix}/requests/{quote(request_id, safe='')}"


@dataclass(frozen=True, slots=True)
class Paging:
    """Where one is in a list. page: from 1. more: whether there is a next page."""

    page: int
    size: int
    more: bool
    total: int | None = None

    @property
    def first(self) -> int:
        """The number of the first row shown, from 1."""
        return (self.page - 1) * self.size + 1


def tried(ask: Callable[[], list[T]], problems: list[str]) -> list[T]:
    """What is asked for; when the store or Prometheus cannot be read, nothing, and the reason among `problems`."""
    try:
        return ask()
    except (StoreError, SourceError) as error:
        text = f"Not all can be shown: {error}"
        if text not in problems:
            problems.append(text)
        return []


def when(instant: Timestamp) -> str:
    """Date and time to the second, UTC; a dash for what has not happened."""
    return rfc3339(instant)[:19].replace("T", " ") if instant else "-"


def figure(value: float | None) -> str:
    """A number for people: six digits are enough; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.6g}"


def duration(length: Duration) -> str:
    """As Prometheus writes it; a dash for none."""
    return format_duration(length) if length else "-"


def words(text: str) -> str:
    """A name of the code as people write it."""
    return text.replace("_", " ")
