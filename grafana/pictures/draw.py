"""Screenshots of the dashboards in docs/img: scripts/draw-dashboards.

A real bridge runs the scenario of the tests while a real Prometheus scrapes it; Grafana's own components draw its
answers to every panel's queries in headless Chromium.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from tests.support.bridge_story import Story, bridge_story
from tests.support.grafana import ROOT, View, dashboards, interpolate

TOOLS = ROOT / ".node" / "pictures"
HERE = ROOT / "grafana" / "pictures"
IMAGES = ROOT / "docs" / "img"
PAGE = """<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="draw.css"><style>
body {{ margin: 0; background: {ground}; color: {text}; font: 14px Inter, Helvetica, sans-serif; }}
* {{ box-sizing: border-box; }}
table {{ border-spacing: 0; }}</style><div id="board"></div>
<script>window.STORY = {story};</script><script src="draw.js"></script>
"""
THEMES = {"dark": ("#111217", "#ccccdc"), "light": ("#f4f5f5", "#24292e")}
SIZE = 24 * 62 + 8  # draw.tsx: CELL


def answers(view: View, panel: dict[str, Any]) -> list[dict[str, Any]]:
    """Return Prometheus' answers to the queries of a panel."""
    found = []
    for target in panel.get("targets", []):
        expr = interpolate(target["expr"], view.values)
        span = (
            {"time": view.end} if target.get("instant") else {"start": view.start, "end": view.end, "step": view.step}
        )
        data = view.get("query" if target.get("instant") else "query_range", query=expr, **span)
        found.append({"target": target, "result": data["result"]})
    return found


def page_content(story: Story, name: str, end: float, theme: str) -> tuple[dict[str, Any], int]:
    """Return the content of the page, and its height in pixels."""
    board = dashboards()[name]
    view = View(board, story.source.url, story.begin - 2, end)
    panels = [panel for panel in board["panels"] if not panel.get("collapsed")]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    marks = [at for at, _ in view.marks(board["annotations"]["list"][0])]
    drawn = [{"panel": panel, "answers": answers(view, panel)} for panel in panels]
    content = {"title": board["title"], "theme": theme, "start": view.start, "end": view.end, "marks": marks}
    return {**content, "panels": drawn}, rows * 38 + 60


def draw(story: Story, name: str, end: float, image: str, theme: str = "dark") -> None:
    """Draw one screenshot."""
    content, height = page_content(story, name, end, theme)
    ground, text = THEMES[theme]
    page = TOOLS / f"{image}.html"
    page.write_text(PAGE.format(story=json.dumps(content).replace("</", "<\\/"), ground=ground, text=text))
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = [
            "chromium", "--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu",
            f"--user-data-dir={profile}",
            f"--window-size={SIZE},{height}", "--virtual-time-budget=15000", "--allow-file-access-from-files",
            f"--screenshot={IMAGES / f'{image}.png'}", page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if os.environ.get("DRAW_DEBUG"):
        print(done.stderr[-4000:])
    print(f"docs/img/{image}.png")


def main() -> None:
    """Draw the overview while a request is held, and every dashboard at the end."""
    with bridge_story(calm=20) as story:
        draw(story, "overview", story.held, "dashboard-overview-held")
        end = time.time()
        draw(story, "overview", end, "dashboard-overview")
        draw(story, "decisions", end, "dashboard-decisions")
        draw(story, "internals", end, "dashboard-internals", "light")


if __name__ == "__main__":
    sys.exit(main())
