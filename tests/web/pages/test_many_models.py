"""Cost of the first page with many models, in function calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from starlette.responses import HTMLResponse

from bridge.domain.model import ModelKey
from bridge.domain.times import MINUTE
from bridge.engine.api.queries import EngineQueries
from bridge.engine.evaluation.trail import Trails
from bridge.web.http.settings import WebSettings
from bridge.web.pages import models
from bridge.web.pages.site import Site
from tests.support.fake_views import FakeCommands
from tests.support.world import World, group, rule

BREACHED = 60  # more than a page shows


def page_of(count: int) -> Callable[..., HTMLResponse]:
    """Return the first page of a bridge with `count` models, of which BREACHED are breached."""
    world = World(group(rule(), rule("Slow", query="latency", limit=0.5), interval=MINUTE), trails=Trails())
    keys = [ModelKey("shop", f"pipeline-{number:05}", "7") for number in range(count)]
    for _ in range(2):
        world.say(dict.fromkeys(keys, 0.1), signal="latency")
        world.tick({key: 0.9 if number < BREACHED else 0.1 for number, key in enumerate(keys)})
    queries = EngineQueries(
        world.engine, world.store, world.store, world.store, configured=list, why_not_ready=lambda: "",
        configuration=lambda: "", now=lambda: world.now,
    )  # fmt: skip
    router = models.routes(Site(queries, FakeCommands(), WebSettings(), lambda: world.now))
    return next(route.endpoint for route in router.routes if getattr(route, "path", "") == "/")  # type: ignore[attr-defined,no-any-return]


def calls(act: Callable[[], HTMLResponse]) -> int:
    """Return the number of function calls that `act` makes, C functions included."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    act()  # compiles templates, and builds the search index
    sys.setprofile(note)
    try:
        answer = act()
    finally:
        sys.setprofile(None)
    assert answer.status_code == 200
    return count


@pytest.fixture(scope="module")
def pages() -> tuple[Callable[..., HTMLResponse], Callable[..., HTMLResponse]]:
    """The page with 100 models, and with 2,000."""
    return page_of(100), page_of(2000)


@pytest.mark.parametrize(
    ("text", "state", "number"),
    [("", [], 1), ("pipeline-000", [], 1), ("", ["retrain_requested"], 1), ("", [], 2)],
    ids=["first", "search", "state", "second"],
)
def test_the_cost_of_a_page_does_not_grow_with_the_number_of_models(
    pages: tuple[Callable[..., HTMLResponse], ...], text: str, state: list[str], number: int
) -> None:
    """Both pages show 50 rows."""
    one, many = (
        calls(lambda page=page: page(q=text, state=state, without="", page=number))  # type: ignore[misc]
        for page in pages
    )
    assert one > 1000
    assert many < one * 1.1
