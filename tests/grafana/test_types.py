"""The dashboards have the types of Grafana's own schema package, which knows values that the SDK lets pass."""

from __future__ import annotations

import copy
from pathlib import Path

from tests.support.grafana import Json, dashboards, panels
from tests.support.typescript import check, install, source


def first(board: Json, kind: str) -> Json:
    return next(panel for panel in panels(board) if panel["type"] == kind)


def planted() -> dict[str, Json]:
    """One fault in each."""
    boards = {
        name: copy.deepcopy(dashboards()["overview"]) for name in ("enum", "type", "key", "missing", "field", "link")
    }
    first(boards["enum"], "stat")["options"]["graphMode"] = "lines"
    boards["type"]["refresh"] = 30
    first(boards["key"], "table")["options"]["cellHight"] = "sm"
    del first(boards["missing"], "timeseries")["options"]["legend"]
    first(boards["field"], "timeseries")["fieldConfig"]["defaults"]["custom"]["lineWidth"] = "1"
    boards["link"]["links"][0]["type"] = "dashboard"
    return boards


def test_the_types_are_grafanas(tmp_path: Path) -> None:
    """Every dashboard and every panel's options pass; each planted fault, and nothing else, is found."""
    install()
    boards = dashboards()
    found = check({name: source(board) for name, board in {**boards, **planted()}.items()}, tmp_path)
    by_name = {line.partition(":")[0]: line for line in found}
    assert [line for name, line in by_name.items() if name in boards] == []
    assert sorted(by_name) == ["enum", "field", "key", "link", "missing", "type"]
    assert "graphMode" in by_name["enum"] or '"lines"' in by_name["enum"]
    assert "cellHight" in by_name["key"]
