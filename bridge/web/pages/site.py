"""Shared parts of all pages: templates, formatting of times and numbers, links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.responses import HTMLResponse

from bridge import __version__
from bridge.domain.destination import receiver_of
from bridge.domain.errors import SourceError, StoreError
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, RequestState
from bridge.domain.times import Timestamp
from bridge.engine.api.interface import Commands, Queries
from bridge.web.api.fleet import Fleet, no_fleet
from bridge.web.http.settings import WebSettings
from bridge.web.pages.charts import apart, spark
from bridge.web.pages.formats import clock, day, duration, figure, parameter, reading, words
from bridge.web.pages.static import versioned
from bridge.web.upstream import NO_UPSTREAM, Upstream

LIVE_SECONDS = 5
GRAPH_RANGE = "6h"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """Renderer of all pages.

    now: returns the present instant.
    fleet: returns the fleet's state, None without one.
    read_only: returns whether the server refuses every change.
    upstream: other servers.
    """

    queries: Queries
    commands: Commands
    settings: WebSettings
    now: Callable[[], Timestamp]
    fleet: Fleet = no_fleet
    read_only: Callable[[], bool] = bool
    upstream: Upstream = NO_UPSTREAM
    _templates: Environment = field(init=False, repr=False)

    def __post_init__(self) -> None:
        templates = Environment(loader=PackageLoader("bridge.web"), autoescape=select_autoescape(["html"]))
        templates.trim_blocks = templates.lstrip_blocks = True
        templates.filters |= {
            "clock": clock, "figure": figure, "reading": reading, "words": words, "duration": duration, "spark": spark,
            "parameter": parameter, "day": day, "receiver": receiver_of,
        }  # fmt: skip
        templates.tests["apart"] = apart
        settings = self.settings
        templates.globals |= {
            "prefix": settings.prefix, "version": __version__, "dashboard": settings.dashboard,
            "model_link": self.model_link, "history_link": self.history_link, "graph": self.graph,
            "request_link": self.request_link, "decision_link": self.decision_link, "read_only": self.read_only,
            "discard_link": self.discard_link,
            "static": lambda name: f"{settings.prefix}/static/{versioned(name)}",
        }  # fmt: skip
        object.__setattr__(self, "_templates", templates)

    def page(self, name: str, status: int = 200, *, live: bool = True, **values: object) -> HTMLResponse:
        """Return the page of templates/`name` with these values. live: update it while it is visible."""
        text = self._templates.get_template(name).render(
            **values, ready=self.queries.ready(), at=self.now(), live=LIVE_SECONDS if live else 0,
            badges=self._badges(),
        )  # fmt: skip
        return HTMLResponse(text, status)

    def _badges(self) -> dict[str, tuple[int, str]]:
        """Return by page how many items wait there for an operator, and what they are."""
        counts = self.queries.request_counts()
        waiting = sum(counts.get(state.value, 0) for state in (RequestState.HELD, RequestState.AWAITING_APPROVAL))
        return {"/requests": (waiting, "waiting"), "/silences": (len(self.commands.pauses()), "paused")}

    def error(self, status: int, title: str, text: str) -> HTMLResponse:
        """Return an error page. text: the cause, and how to fix it."""
        return self.page("error.html", status, live=False, title=title, text=text)

    def graph(self, query: str) -> str:
        """Return the URL of a query's graph in Prometheus, a line of `query` a panel; "" if its URL is unknown."""
        base = self.settings.prometheus_url or self.upstream.prometheus_url()
        if not base or not query:
            return ""
        panels = [{"expr": text, "tab": "0", "range_input": GRAPH_RANGE} for text in query.split("\n")]
        return f"{base.rstrip('/')}/graph?" + urlencode(
            {f"g{index}.{name}": value for index, panel in enumerate(panels) for name, value in panel.items()}
        )

    def link(self, path: str, **query: object) -> str:
        """Return the URL of a page, without empty parts of the query."""
        parameters = {name: value for name, value in query.items() if value or value == 0}
        return self.settings.prefix + path + (f"?{urlencode(parameters, doseq=True)}" if parameters else "")

    def model_link(self, model: ModelKey) -> str:
        """Return the URL of the model's page; it includes every label, even an empty one."""
        return f"{self.settings.prefix}/model?{urlencode(model.labels())}"

    def history_link(self, model: ModelKey, rule: str) -> str:
        """Return the URL of earlier values of a rule's signal; "" without a Prometheus."""
        if self.upstream.histories is None:
            return ""
        return f"{self.settings.prefix}/api/v1/history?{urlencode({**model.labels(), 'rule': rule})}"

    def decision_link(self, decision: Decision) -> str:
        """Return the URL of the decision's page."""
        return f"{self.settings.prefix}/decisions/{decision.id}"

    def request_link(self, request_id: str) -> str:
        """Return the URL of the request's page."""
        return f"{self.settings.prefix}/requests/{quote(request_id, safe='')}"

    def discard_link(self, receiver: str) -> str:
        """Return the URL of the form that ends the deliveries to a receiver's removed destinations."""
        return f"{self.settings.prefix}/deliveries/discard?{urlencode({'receiver': receiver})}"


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
