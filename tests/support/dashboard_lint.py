"""What is wrong with a dashboard that can be seen without a server: queries, units, places, links."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import promql_parser as promql

from tests.support.grafana import BUILT_IN, Json, interpolate, named, panels, targets

# Metrics that are not the bridge's own: of Prometheus, and of its client library.
FOREIGN = {
    "up": "gauge", "ALERTS": "gauge", "process_cpu_seconds_total": "counter", "process_resident_memory_bytes": "gauge",
    "process_open_fds": "gauge", "process_max_fds": "gauge",
}  # fmt: skip
COUNTING = frozenset({"rate", "increase", "irate"})
DIFFERENCE = "now minus then"
_WIDTHS = {"$__rate_interval", "$__range"}
_CLICKED = re.compile(r"__(?:field\.labels|data\.fields)\.\w+")
_UNFILTERED = re.compile(r"\b((?:retrain_bridge|process)_\w+)\b(?!\{job=~\"\$job\")")
UNITS = frozenset({
    "short", "none", "s", "bytes", "cps", "percentunit", "dateTimeAsIso", "dateTimeFromNow",
})  # fmt: skip


def problems(board: Json, kinds: Mapping[str, str], others: Mapping[str, Json]) -> list[str]:
    """Everything that is wrong. kinds: type of every metric; others: all dashboards, by uid."""
    found = [*_queries(board, {**kinds, **FOREIGN}), *_descriptions(board), *_places(board), *_links(board, others)]
    return [*found, *_variables(board)]


# ---------------------------------------------------------------- queries


def _queries(board: Json, kinds: Mapping[str, str]) -> Iterator[str]:
    expressions = [(title, target["expr"]) for title, target in targets(board)]
    expressions += [(item["name"], item["expr"]) for item in board["annotations"]["list"]]
    for title, expr in expressions:
        plain = interpolate(expr, _Anything())
        try:
            tree = promql.parse(plain)
        except ValueError as error:
            yield f"{title}: {error}"
            continue
        yield from (f"{title}: {problem}" for problem in _tree(tree, kinds))
        for name in _UNFILTERED.findall(expr):
            yield f"{title}: {name} of every job"
        for width in re.findall(r"\[([^\]:]+)", expr):
            if width not in _WIDTHS:
                yield f"{title}: [{width}] does not follow the time range or the scrape interval"


class _Anything(dict[str, str]):
    """A value for every variable: a length of time for built-in ones."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return "5m" if name in BUILT_IN else "x"


def _tree(node: Any, kinds: Mapping[str, str]) -> Iterator[str]:
    """Rates only over counters, counters only in rates or as a difference in time, and only metrics that there are."""
    for selector, function in _selectors(node, ""):
        name = str(selector.name)
        kind = _kind(name, kinds)
        if kind is None:
            yield f"there is no metric {name}"
        elif function in COUNTING and kind != "counter":
            yield f"{function}() over the {kind} {name}"
        elif function not in {*COUNTING, DIFFERENCE} and kind == "counter":
            yield f"the counter {name} without a rate"


def _kind(name: str, kinds: Mapping[str, str]) -> str | None:
    base, _, part = name.rpartition("_")
    if part in {"bucket", "sum", "count"} and kinds.get(base) == "histogram":
        return "counter"
    return None if kinds.get(name) == "histogram" else kinds.get(name)


def _selectors(node: Any, function: str) -> Iterator[tuple[Any, str]]:
    """Every vector selector, with the function right around its range, or DIFFERENCE for now minus then."""
    match node:
        case promql.VectorSelector():
            yield node, function
        case promql.MatrixSelector():
            yield node.vector_selector, function
        case promql.Call():
            for argument in node.args:
                yield from _selectors(argument, node.func.name)
        case promql.BinaryExpr():
            then = [selector for selector, _ in _selectors(node.rhs, "") if selector.offset]
            kind = DIFFERENCE if str(node.op) == "-" and then else ""
            yield from _selectors(node.lhs, kind)
            yield from _selectors(node.rhs, kind)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from _selectors(node.expr, function if function == DIFFERENCE else "")


# ---------------------------------------------------------------- what people see


def _descriptions(board: Json) -> Iterator[str]:
    titles = [panel["title"] for panel in panels(board)]
    yield from (f"{title}: twice" for title in sorted({title for title in titles if titles.count(title) > 1}))
    for panel in panels(board):
        if not panel.get("description"):
            yield f"{panel['title']}: no description"
        fields = panel["fieldConfig"]
        units = [fields["defaults"].get("unit", "")]
        units += [prop["value"] for item in fields["overrides"] for prop in item["properties"] if prop["id"] == "unit"]
        yield from (f"{panel['title']}: unit {unit!r}" for unit in units if unit not in UNITS)


def _places(board: Json) -> Iterator[str]:
    """On a grid of 24 columns; a collapsed row's panels are a grid of their own."""
    shown = [panel for panel in board["panels"] if panel["type"] != "row"]
    for group in [shown, *[row["panels"] for row in board["panels"] if row.get("panels")]]:
        for panel in group:
            if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
                yield f"{panel['title']}: beyond the right edge"
        for one, other in combinations(group, 2):
            if _overlap(one["gridPos"], other["gridPos"]):
                yield f"{one['title']}: over {other['title']}"


def _overlap(a: Json, b: Json) -> bool:
    across = a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
    return bool(across and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


# ---------------------------------------------------------------- variables and links


def _names(board: Json) -> list[str]:
    return [variable["name"] for variable in board["templating"]["list"]]


def _variables(board: Json) -> Iterator[str]:
    """Defined where they are used, before other variables use them, and used where they are defined."""
    used: set[str] = set()
    for index, variable in enumerate(board["templating"]["list"]):
        query = variable["query"]["query"] if isinstance(variable["query"], dict) else ""
        used |= {name for name, _ in named(query)}
        for name, _ in named(query):
            if name not in _names(board)[:index]:
                yield f"variable {variable['name']} needs {name}, which is not before it"
    texts = [target["expr"] for _, target in targets(board)] + [item["expr"] for item in board["annotations"]["list"]]
    texts += [url for _, url in _urls(board)]
    for text in texts:
        for name, _ in named(text):
            used.add(name)
            if name not in BUILT_IN and not _CLICKED.fullmatch(name) and name not in _names(board):
                yield f"undefined variable {name} in {text}"
    yield from (f"variable {name} is not used" for name in _names(board) if name not in used | {"datasource"})


def _urls(board: Json) -> Iterator[tuple[str, str]]:
    for link in board["links"]:
        if link.get("url"):
            yield "dashboard", link["url"]
    for panel in panels(board):
        for link in panel["fieldConfig"]["defaults"].get("links", []):
            yield panel["title"], link["url"]


def _columns(board: Json, title: str) -> set[str]:
    """References to the columns of a table: one of them may hold a URL."""
    steps = [step for panel in panels(board) if panel["title"] == title for step in panel.get("transformations", ())]
    names = {name for step in steps for name in step["options"].get("renameByName", {}).values()}
    return {f"${{__data.fields.{name}:raw}}" for name in names}


def _links(board: Json, others: Mapping[str, Json]) -> Iterator[str]:
    """To dashboards that there are, with variables that they have; else to the bridge, or to a URL in a column."""
    for title, url in _urls(board):
        path, _, query = url.partition("?")
        if path.startswith("${bridge:raw}/") or path in _columns(board, title):
            continue
        target = others.get(path.removeprefix("/d/"))
        if target is None:
            yield f"{title}: {path} leads nowhere"
            continue
        for name in re.findall(r"var-(\w+)=", query) + re.findall(r"\$\{(\w+):queryparam\}", query):
            if name not in _names(target):
                yield f"{title}: {path} has no variable {name}"
