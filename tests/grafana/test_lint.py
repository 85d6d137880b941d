"""Queries, units, places and links of the dashboards, looked at without a server."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from bridge.app.telemetry import Telemetry
from bridge.web.http.settings import WebSettings
from tests.support.dashboard_lint import problems
from tests.support.fake_views import AT, MODEL, FakeQueries
from tests.support.grafana import dashboards, panels

Json = dict[str, Any]
BOARDS = dashboards()
BY_UID = {board["uid"]: board for board in BOARDS.values()}


def kinds() -> dict[str, str]:
    """Type of every metric that the bridge has."""
    text = Telemetry(FakeQueries()).render(AT).decode()
    return dict(re.findall(r"^# TYPE (retrain_bridge_\S+) (\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("name", BOARDS)
def test_nothing_is_wrong_with_a_dashboard(name: str) -> None:
    """Metrics that there are, rates over counters alone, units, descriptions, no panel over another, links."""
    assert problems(BOARDS[name], kinds(), BY_UID) == []


def test_the_links_of_the_bridges_page_are_of_dashboards_that_there_are() -> None:
    """With the variables that those have."""
    settings = WebSettings(grafana_url="https://grafana.example")
    for url in (settings.dashboard(), settings.dashboard(MODEL)):
        path, _, query = url.removeprefix("https://grafana.example/d/").partition("?")
        names = {variable["name"] for variable in BY_UID[path]["templating"]["list"]}
        assert {name.removeprefix("var-") for name, _ in parse_qsl(query)} <= names


def first(board: Json, kind: str = "timeseries") -> Json:
    return next(panel for panel in panels(board) if panel["type"] == kind)


def _query(expr: str) -> Callable[[Json], None]:
    def change(board: Json) -> None:
        first(board)["targets"][0]["expr"] = expr

    return change


def _place(**where: int) -> Callable[[Json], None]:
    def change(board: Json) -> None:
        board["panels"][1]["gridPos"] |= where

    return change


def _link(url: str) -> Callable[[Json], None]:
    def change(board: Json) -> None:
        first(board)["fieldConfig"]["defaults"]["links"][0]["url"] = url

    return change


def _unit(board: Json) -> None:
    first(board)["fieldConfig"]["defaults"]["unit"] = "seconds"


def _override(board: Json) -> None:
    first(board, "table")["fieldConfig"]["overrides"][0]["properties"][0]["value"] = "datetime"


def _no_description(board: Json) -> None:
    del first(board)["description"]


def _same_title(board: Json) -> None:
    first(board)["title"] = "Models"


def _order(board: Json) -> None:
    board["templating"]["list"].reverse()


def _unused(board: Json) -> None:
    board["templating"]["list"].append({**board["templating"]["list"][1], "name": "spare"})


def _annotation(board: Json) -> None:
    board["annotations"]["list"][0]["expr"] = "retrain_bridge_last_request"


SELECTOR = 'retrain_bridge_decisions_total{job=~"$job"}'


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (_query("sum by (retrain_bridge_models"), "Signals relative to their limits / A: .*"),
        (_query('retrain_bridge_modles{job=~"$job"}'), ".*: there is no metric retrain_bridge_modles"),
        (_query("rate(retrain_bridge_models[$__rate_interval])"), r".*: rate\(\) over the gauge retrain_bridge_models"),
        (_query("retrain_bridge_decisions_total"), ".*: the counter retrain_bridge_decisions_total without a rate"),
        (_query(f"sum({SELECTOR}) + sum(rate({SELECTOR}[$__range]))"), ".*: the counter .* without a rate"),
        (_query("rate(retrain_bridge_decisions_total[5m])"), r".*: \[5m\] does not follow .*"),
        (
            _query("retrain_bridge_evaluation_duration_seconds"),
            ".*: there is no metric retrain_bridge_evaluation_duration_seconds",
        ),
        (_query('retrain_bridge_models{job=~"$jobs"}'), "undefined variable jobs in .*"),
        (_query('retrain_bridge_models{state="held"}'), ".*: retrain_bridge_models of every job"),
        (_annotation, "Retrain requests: there is no metric retrain_bridge_last_request"),
        (_unit, ".*: unit 'seconds'"),
        (_override, ".*: unit 'datetime'"),
        (_no_description, ".*: no description"),
        (_same_title, "Models: twice"),
        (_place(x=22), ".*: beyond the right edge"),
        (_place(x=0), "Models: over Degraded"),
        (_order, "variable .* needs .*, which is not before it"),
        (_unused, "variable spare is not used"),
        (_link("/d/retrain-bridge-gone"), ".*: /d/retrain-bridge-gone leads nowhere"),
        (_link("/d/retrain-bridge-decisions?var-model=x"), ".*: .* has no variable model"),
        (_link("${page:raw}/models"), ".* leads nowhere"),
    ],
)
def test_what_is_wrong_would_be_found(plant: Callable[[Json], None], found: str) -> None:
    """One fault planted at a time."""
    board = copy.deepcopy(BOARDS["overview"])
    plant(board)
    said = problems(board, kinds(), BY_UID)
    assert [text for text in said if re.fullmatch(found, text)] != [], said
