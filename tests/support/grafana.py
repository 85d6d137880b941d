"""What a Grafana server does with a dashboard, as far as tests need it: variables, queries, annotations, links."""

from __future__ import annotations

import json
import math
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.servers import http

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana" / "dashboards"
Json = dict[str, Any]
Series = tuple[dict[str, str], list[float]]
_VARIABLE = re.compile(r"\$(\w+)|\$\{([\w.]+)(?::(\w+))?\}")
_VALUES = re.compile(r"label_values\((?:(.+), ?)?(\w+)\)")
_SPECIAL = re.compile(r"[\\$^*{}\[\]+?.()|]")  # what Grafana escapes for a regex inside a PromQL string, twice
ESCAPED = r"\\\\\g<0>"
BUILT_IN = frozenset({"__rate_interval", "__interval", "__range", "__from", "__to", "__url_time_range"})


class DashboardError(AssertionError):
    """A server would show an error, or nothing."""


def dashboards() -> dict[str, Json]:
    """Name -> content, as committed."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))}


def panels(board: Json) -> Iterator[Json]:
    """All that draw something: those of collapsed rows too, the rows themselves not."""
    for panel in board["panels"]:
        if panel["type"] != "row":
            yield panel
        yield from panel.get("panels", [])


def named(text: str) -> list[tuple[str, str]]:
    """The variables in a text, each with its format."""
    return [(plain or long, form) for plain, long, form in _VARIABLE.findall(text)]


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Variables put in; DashboardError for one that nobody defines."""

    def put(match: re.Match[str]) -> str:
        name, form = match[1] or match[2], match[3] or ""
        if name not in values:
            raise DashboardError(f"undefined variable {match[0]}")
        if form == "queryparam":
            return f"var-{name}={urllib.parse.quote(values[name], safe='')}"
        return urllib.parse.quote(values[name], safe="") if form == "percentencode" else values[name]

    return _VARIABLE.sub(put, text)


OPTIONAL = {"cluster", "namespace"}  # labels that a scrape need not have: all stands for "without" too


@dataclass
class View:
    """A dashboard that looks at a Prometheus, at a time range [start, end] in seconds."""

    board: Json
    url: str
    start: float
    end: float
    step: int = 1
    values: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seconds = max(1, int(self.end - self.start))
        self.values = {
            "__rate_interval": "4s", "__interval": f"{self.step}s", "__range": f"{seconds}s",
            "__url_time_range": f"from={self.start:.0f}000&to={self.end:.0f}000",
        }  # fmt: skip
        for variable in self.board["templating"]["list"]:
            self.values[variable["name"]] = self._choice(variable)

    def _choice(self, variable: Json) -> str:
        """What is put in for it at first: all of its values, or the first."""
        if variable["type"] == "datasource":
            return "prometheus"
        found = self.options(variable)
        if not found and variable["name"] not in OPTIONAL:
            raise DashboardError(f"variable {variable['name']} has no values")
        if not variable["includeAll"]:
            return found[0]
        return str(variable.get("allValue") or f"({'|'.join(_SPECIAL.sub(ESCAPED, value) for value in found)})")

    def options(self, variable: Json) -> list[str]:
        """The values that it offers; made from the variables before it."""
        match = _VALUES.fullmatch(variable["query"]["query"])
        if match is None:
            raise DashboardError(f"not label_values(): {variable['query']['query']}")
        selector = {"match[]": interpolate(match[1], self.values)} if match[1] else {}
        found: list[str] = self.get(f"label/{match[2]}/values", start=self.start, end=self.end, **selector)
        return found

    def get(self, path: str, **values: object) -> Any:
        """`data` of GET /api/v1/<path>; DashboardError for what Prometheus refuses."""
        status, text = http("GET", f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(values)}")
        if status != 200:
            raise DashboardError(f"{status}: {text[:300]}; asked for {values}")
        return json.loads(text)["data"]

    def series(self, target: Json) -> list[Series]:
        """The answer to a target: labels and values."""
        expr = interpolate(target["expr"], self.values)
        if target.get("instant"):
            result = self.get("query", query=expr, time=self.end)["result"]
            return [(item["metric"], [float(item["value"][1])]) for item in result]
        found = self.get("query_range", query=expr, start=self.start, end=self.end, step=self.step)["result"]
        return [(item["metric"], [float(value) for _, value in item["values"]]) for item in found]

    def shown(self, target: Json) -> list[Series]:
        """What it draws: series that have a number; DashboardError if its legend names a label that is not there."""
        found = [item for item in self.series(target) if not all(math.isnan(value) for value in item[1])]
        for label in re.findall(r"{{(\w+)}}", target.get("legendFormat") or ""):
            if any(label not in labels for labels, _ in found):
                raise DashboardError(f"legend {target['legendFormat']!r}: no label {label!r}")
        return found

    def links(self) -> list[str]:
        """Where every link of the dashboard, its series and its rows leads; `values` has what was clicked on."""
        fields = [panel["fieldConfig"]["defaults"].get("links", []) for panel in panels(self.board)]
        every = [*self.board["links"], *(link for links in fields for link in links)]
        return [interpolate(link["url"], self.values) for link in every if link.get("url")]

    def marks(self, annotation: Json) -> list[tuple[int, str]]:
        """The marks of an annotation: (ms, title); each value is an instant and counts once."""
        marks = set()
        for labels, values in self.series({"expr": annotation["expr"]}):
            title = annotation["titleFormat"]
            for label in re.findall(r"{{(\w+)}}", title + annotation["textFormat"]):
                if label not in labels:
                    raise DashboardError(f"annotation {annotation['name']}: no label {label!r}")
                title = title.replace(f"{{{{{label}}}}}", labels[label])
            marks |= {(int(value), title) for value in values if not math.isnan(value)}
        return sorted(marks)


def targets(board: Json) -> Iterator[tuple[str, Json]]:
    """ "panel title / refId" and target, of every panel."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield f"{panel['title']} / {target['refId']}", target
