"""Impact report as one self-contained HTML file."""

from __future__ import annotations

from html import escape

from bridge.authoring.backtest.report import document, table
from bridge.authoring.impact.impact import COLUMNS, Impact, advice, sentences

_ADVICE = {"rule": "rule", "kind": "what to do", "reason": "why"}


def page(found: Impact, last: str) -> str:
    """Return the report. last: the period, as a duration."""
    columns = {**COLUMNS, "name": "rule"}
    pairs = {name: advice(tally) for name, tally in found.rules.items()}
    rows = [{"rule": name, "kind": what, "reason": why} for name, (what, why) in pairs.items()]
    body = [
        "<h1>What retraining was worth</h1>",
        *(f"<p>{escape(text)}</p>" for text in sentences(found, last)),
        "<h2>Rules</h2>", table(columns, [item.row(name) for name, item in found.rules.items()]),
        "<h2>What to change</h2>", table(_ADVICE, rows),
        "<h2>Pipelines</h2>",
        table({**COLUMNS, "name": "pipeline"}, [item.row(name) for name, item in found.pipelines.items()]),
        "<h2>Assumptions</h2>", f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in found.assumptions())}</ul>",
    ]  # fmt: skip
    return document("What retraining was worth", body)
