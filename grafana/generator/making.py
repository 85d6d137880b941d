"""Conversion of panels to dashboard JSON for import, provisioning and sidecars."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from grafana.generator.links import TAG, dashboard_links
from grafana.generator.sdk import JSONEncoder, build, build_query, dashboard
from grafana.generator.variables import DATASOURCE, metric, variables

Row = tuple[str, bool, Sequence[Any]]
LINK_KEYS = ("title", "url", "targetBlank")


def made(uid: str, title: str, about: str, rows: Iterable[Row], *, since: str, rule: bool = False) -> build.Dashboard:
    """Return a dashboard of rows (title, collapsed, panels); a row without a title has no heading."""
    board = (
        build.Dashboard(title).uid(uid).description(about).tags([TAG]).readonly().refresh("30s").time(since, "now")
        .timezone("browser").tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    )  # fmt: skip
    for variable in variables(rule=rule):
        board = board.with_variable(variable)
    board = board.annotation(_requests())
    for link in dashboard_links():
        board = board.link(link)
    for heading, collapsed, panels in rows:
        board = _with_row(board, heading, panels, collapsed=collapsed)
    return board


def _with_row(board: build.Dashboard, heading: str, panels: Sequence[Any], *, collapsed: bool) -> build.Dashboard:
    row = build.Row(heading).collapsed(collapsed)
    if collapsed:
        for panel in panels:
            row = row.with_panel(panel)
        return board.with_row(row)
    board = board.with_row(row) if heading else board
    for panel in panels:
        board = board.with_panel(panel)
    return board


def _requests() -> build.AnnotationQuery:
    """Return an annotation for each request, at the time in the gauge's value instead of the scrape time."""
    expr = f"max by (project,pipeline,version,reason) ({metric('last_retrain_request_timestamp_seconds', model=True)})"
    requests = build_query.Dataquery().expr(f"{expr} * 1000").ref_id("Requests").range().datasource(DATASOURCE)
    return (
        build.AnnotationQuery().name("Retrain requests").datasource(DATASOURCE).enable(True).icon_color("purple")
        .expr(f"{expr} * 1000").title_format("Retraining requested: {{project}}/{{pipeline}}/{{version}}")
        .text_format("reason: {{reason}}").tag_keys("reason").use_value_for_time(True).target(requests)
    )  # fmt: skip


def as_json(board: build.Dashboard) -> str:
    """Return the text of the file, with numbered panels and without server-specific fields."""
    text = json.dumps(board.build(), cls=JSONEncoder)
    content: dict[str, Any] = json.loads(text)
    for number, panel in enumerate(every_panel(content), 1):
        panel["id"] = number
        _tidy(panel)
    for variable in content["templating"]["list"]:
        for key in ("auto", "auto_min", "auto_count"):  # only for interval variables
            variable.pop(key, None)
    for key in ("id", "version", "gnetId"):
        content.pop(key, None)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def every_panel(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return panels and rows, including those in collapsed rows, from top to bottom."""
    return [one for panel in content["panels"] for one in (panel, *panel.get("panels", []))]


def _tidy(panel: dict[str, Any]) -> None:
    """Remove a table's footer, which newer servers reject, and fields that data links do not have."""
    panel.get("options", {}).pop("footer", None)
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    if "links" in defaults:
        defaults["links"] = [{key: link[key] for key in LINK_KEYS if key in link} for link in defaults["links"]]
