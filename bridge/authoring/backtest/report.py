"""Report of a backtest as one self-contained HTML file, in light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from bridge.authoring.backtest.charts import Chart, svg
from bridge.authoring.backtest.recording import Recorder
from bridge.authoring.backtest.results import COLUMNS, BacktestRequest, Results, cell
from bridge.authoring.backtest.scoring import SCORE_COLUMNS, Labels, Score
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.times import Timestamp, rfc3339

MOST_CHARTS = 60
MOST_REQUESTS = 1000
_LEFT = frozenset({"rule", "kind", "name", "at", "model", "reason"})
_REQUEST_COLUMNS = {"at": "at", "rule": "rule", "model": "model", "reason": "reason"}
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #68707a; --line: #d8dde3; --signal: #1f6feb; --page: #fff;
  --statistic: #6f42c1; --request: #c62828; --limit: #b26a00; --window: #fbe7c3 }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e8eb; --soft: #98a2ad; --line: #333b44; --signal: #6cb0ff;
  --page: #14171b; --statistic: #c39bff; --request: #ff7b72; --limit: #e3a008; --window: #43361c } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } tr.sum td { font-weight: 600 }
svg { width: 100%; height: auto; display: block } svg text { font-size: 11px; fill: var(--soft) }
polyline { fill: none; stroke-width: 1.2 } .signal { stroke: var(--signal) } .statistic { stroke: var(--statistic) }
.grid { stroke: var(--line); stroke-width: .6 } .threshold { stroke: var(--limit); stroke-dasharray: 5 4 }
.window { fill: var(--window) } .request line { stroke: var(--request) } .request circle { fill: var(--request) }
h3 { margin: 1.6rem 0 .3rem; font-size: 1rem } .soft { color: var(--soft) }
.key b { font-weight: 600 } .key .signal { color: var(--signal) } .key .statistic { color: var(--statistic) }
.key .limit { color: var(--limit) } .key .asked { color: var(--request) }
"""
_KEY = (
    '<p class="soft key">Each chart shows the <b class="signal">signal</b> from the lowest to the highest value of '
    'each step, the <b class="limit">threshold</b>, the <b class="statistic">statistic</b> if the strategy has one, '
    'and <b class="asked">requests</b>; labelled windows are shaded.</p>'
)


def page(results: Results, scores: Mapping[str, Score], charts: Sequence[Chart], left_out: int = 0) -> str:
    """Return the report. scores: by name, empty without labels. left_out: number of charts that are omitted."""
    span = f"{rfc3339(results.since)} to {rfc3339(results.until)}"
    rows = list(results.rows())
    rows[-1]["rule"] = "all rules"
    body = [
        f'<h1>Backtest</h1><p class="soft">{span}, {results.slots} evaluations. Nothing was sent.</p>',
        table(COLUMNS, rows, summed=True),
        *(f'<p class="soft">{escape(rule)}: {escape(text)}</p>' for rule, text in results.errors.items()),
    ]
    if scores:
        scored = [{"name": name, **score.shown()} for name, score in scores.items()]
        body += ["<h2>Scores against labels</h2>", table(SCORE_COLUMNS, scored)]
    if charts:
        body += ["<h2>Models</h2>", _KEY]
        body += [f"<h3>{escape(chart.title)}</h3>{svg(chart)}" for chart in charts]
    if left_out:
        body.append(f'<p class="soft">{left_out} more charts are omitted.</p>')
    body += ["<h2>Requests</h2>", _requests(results.sent())]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Backtest {span}</title><style>{_STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, object]], *, summed: bool = False) -> str:
    """Return an HTML table. columns: key -> title. summed: the last row is the total."""
    kinds = {key: "" if key in _LEFT else ' class="n"' for key in columns}
    head = "".join(f"<th{kinds[key]}>{escape(title)}</th>" for key, title in columns.items())
    lines = [
        "".join(f"<td{kinds[key]}>{escape(cell(row.get(key, '')))}</td>" for key in columns) for row in rows
    ]  # fmt: skip
    body = "".join(
        f'<tr class="sum">{line}</tr>' if summed and index == len(lines) - 1 else f"<tr>{line}</tr>"
        for index, line in enumerate(lines)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _requests(sent: Sequence[BacktestRequest]) -> str:
    if not sent:
        return "<p>None.</p>"
    rows = (
        {"at": rfc3339(item.sent_at), "rule": item.rule, "model": item.model, "reason": item.reason}
        for item in sent[:MOST_REQUESTS]
    )
    more = f'<p class="soft">and {len(sent) - MOST_REQUESTS} more</p>' if len(sent) > MOST_REQUESTS else ""
    return table(_REQUEST_COLUMNS, rows) + more


def charts(
    results: Results, recorder: Recorder, table: ModelTable, labels: Sequence[Labels]
) -> tuple[list[Chart], int]:
    """Return charts of fired rules and models, in turn by rule, and the number of charts that are omitted."""
    windows = {item.model: [(round(a * 1000), round(b * 1000)) for a, b in item.spans] for item in labels}
    requested: dict[tuple[str, ModelKey], list[tuple[Timestamp, str]]] = {}
    for item in results.sent():
        requested.setdefault((item.rule, item.model), []).append((item.sent_at, item.reason))
    pairs = [
        (turn, rule, model)
        for rule, tally in results.rules.items()
        for turn, (_, model) in enumerate(sorted(((rule, model) not in requested, model) for model in tally.models))
    ]
    drawn: list[Chart] = []
    for _, rule, model in sorted(pairs, key=lambda pair: pair[0])[:MOST_CHARTS]:
        row = table.find(model)
        line = None if row is None else recorder.line(rule, row)
        if line is not None and line.known:
            requests, spans = requested.get((rule, model), ()), windows.get(model, ())
            drawn.append(Chart(f"{rule}: {model}", results.since, results.until, line, requests, spans))
    return sorted(drawn, key=lambda chart: chart.title), max(0, len(pairs) - MOST_CHARTS)
