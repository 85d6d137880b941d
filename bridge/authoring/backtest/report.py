"""Report of a backtest as one self-contained HTML file, in light and dark, with the charts of the web pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from bridge.authoring.backtest.recording import ModelSeries, Recorder
from bridge.authoring.backtest.results import COLUMNS, BacktestRequest, Results, cell
from bridge.authoring.backtest.scoring import SCORE_COLUMNS, Labels, Score
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.times import Timestamp, rfc3339
from bridge.engine.api.views import TrailView
from bridge.web.pages.charts import data, picture
from bridge.web.pages.static import FOLDER

MOST_CHARTS = 60
MOST_REQUESTS = 1000
_LEFT = frozenset({"rule", "kind", "name", "at", "model", "reason"})
_REQUEST_COLUMNS = {"at": "at", "rule": "rule", "model": "model", "reason": "reason"}
_MOST_MARKS = 12  # labels of requests on one chart; more would cover the lines
_NEAR = 1e-5  # relative; recorded numbers are float32
_LABELS = {"value": "middle", "lower": "lowest", "upper": "highest"}
_STYLE = """
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } tr.sum td { font-weight: 600 }
.soft { color: var(--quiet) }
@media (min-width: 48rem) { th, td { overflow-wrap: break-word } }
"""
KEY = (
    '<p class="soft">Each chart shows the signal, the limit, the statistic if the strategy has one, and requests; '
    "periods in which retraining was due are shaded. Where a step of the chart has several evaluations, a band shows "
    "the lowest and the highest value.</p>"
)


@dataclass(frozen=True, slots=True)
class Chart:
    """Content of a chart; all times in ms.

    line: what was recorded over [since, until].
    requests: instants of requests.
    windows: periods in which retraining was due, (start, end).
    """

    title: str
    since: Timestamp
    until: Timestamp
    line: ModelSeries
    requests: Sequence[Timestamp] = ()
    windows: Sequence[tuple[Timestamp, Timestamp]] = ()

    @property
    def own_scale(self) -> bool:
        """True when the statistic differs from the value."""
        low, high, statistic = self.line.low, self.line.high, self.line.statistic
        seen = np.isfinite(statistic) & np.isfinite(low)
        slack = _NEAR * np.maximum(1.0, np.abs(high[seen]))
        return bool(((statistic[seen] < low[seen] - slack) | (statistic[seen] > high[seen] + slack)).any())

    def trail(self) -> TrailView:
        """Return the recording as columns; a band only if a step has more than one value."""
        low, high = (column.astype(np.float64) for column in (self.line.low, self.line.high))
        steps = len(low)
        slots = [self.since + (2 * step + 1) * (self.until - self.since) // (2 * steps) for step in range(steps)]
        banded = bool((high > low).any())
        lower, upper = (low, high) if banded else (np.full(steps, np.nan), np.full(steps, np.nan))
        statistic, threshold = self.line.statistic.tolist(), self.line.threshold.tolist()
        value = ((low + high) / 2).tolist()
        return TrailView(slots, value, statistic, threshold, lower.tolist(), upper.tolist(), [0] * steps)


def figure(chart: Chart, number: int) -> str:
    """Return the figure of a chart for charts.js, with a static picture inside; all text is escaped."""
    trail = chart.trail()
    label = "request" if len(chart.requests) <= _MOST_MARKS else ""
    windows = [window for window in chart.windows if window[1] >= chart.since and window[0] <= chart.until]
    labels = _LABELS if np.isfinite(trail.lower).any() else {}
    numbers = data(
        trail, [(at, label) for at in chart.requests], own=chart.own_scale, windows=windows, labels=labels
    )  # fmt: skip
    title = escape(chart.title)
    return (
        f'<figure id="chart-{number}" data-trail="{escape(numbers)}" data-unit="" data-rule="{title}">'
        f'<figcaption><h3>{title}</h3></figcaption><div class="plot">{picture(trail)}</div></figure>'
    )


def page(results: Results, scores: Mapping[str, Score], charts: Sequence[Chart], left_out: int = 0) -> str:
    """Return the report. scores: by name, empty without ground truth. left_out: number of charts that are omitted."""
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
        body += ["<h2>Scores against ground truth</h2>", table(SCORE_COLUMNS, scored)]
    if charts:
        body += ["<h2>Models</h2>", KEY]
        body += [figure(chart, number) for number, chart in enumerate(charts)]
    if left_out:
        body.append(f'<p class="soft">{left_out} more charts are omitted.</p>')
    body += ["<h2>Requests</h2>", _requests(results.sent())]
    return document(f"Backtest {span}", body)


def document(title: str, body: Iterable[str]) -> str:
    """Return a self-contained page. body: HTML; charts in it are drawn by the scripts of the web pages."""
    text = "".join(body)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_file('style.css')}{_file('uplot.css')}{_STYLE}</style>"
    )
    if "data-trail=" in text:
        text += f"<script>{_file('uplot.js')}</script><script>{_file('charts.js')}</script>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{text}</body></html>\n'


def _file(name: str) -> str:
    """Return a style or script of the web pages."""
    return (FOLDER / name).read_text(encoding="utf-8")


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
    requested: dict[tuple[str, ModelKey], list[Timestamp]] = {}
    for item in results.sent():
        requested.setdefault((item.rule, item.model), []).append(item.sent_at)
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
