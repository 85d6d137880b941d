"""Report of a comparison as one self-contained HTML file: a table, and requests a week against detection and delay."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bridge.authoring.backtest.report import table
from bridge.authoring.tune.compare import COLUMNS, Outcome
from bridge.domain.times import rfc3339
from bridge.web.pages.static import FOLDER

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 620, 300, 56, 44
_STYLE = """
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
svg { max-width: 100%; height: auto } svg text { fill: currentColor; font-size: 12px }
svg line { stroke: var(--quiet) } svg circle { fill: var(--accent, #2563eb); fill-opacity: .75 }
svg .now circle { fill: none; stroke: currentColor; stroke-width: 2 }
.soft { color: var(--quiet) }
"""


def page(rule: str, outcomes: Sequence[Outcome]) -> str:
    """Return the report on the variants of a rule."""
    first = outcomes[0]
    span = f"{rfc3339(first.since)} to {rfc3339(first.until)}"
    title = f"Settings of {rule}"
    rows = [{"number": str(number), **outcome.row()} for number, outcome in enumerate(outcomes)]
    body = [f"<h1>{escape(title)}</h1>", f'<p class="soft">{span}. Nothing was sent.</p>']
    if first.windows:
        across = "requests" if first.per_week is None else "requests a week"
        rates = [len(item.requests) if item.per_week is None else item.per_week for item in outcomes]
        shares = [100 * item.detected / item.windows for item in outcomes]
        body += ["<h2>Detection</h2>", scatter(list(zip(rates, shares, strict=True)), across, "detected (%)")]
        delays = [item.delay_hours for item in outcomes]
        body += ["<h2>Delay</h2>", scatter(list(zip(rates, delays, strict=True)), across, "median delay (h)")]
    else:
        body.append("<p>Without ground truth (incidents, annotations or feedback) only requests are counted.</p>")
    body += ["<h2>All settings</h2>", table({"number": "", **COLUMNS}, rows)]
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{style}{_STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def scatter(points: Sequence[tuple[float, float | None]], across: str, up: str) -> str:
    """Return a chart of (x, y) as SVG; the number of each point is that of its row, and the first one is encircled.

    points: y None = not drawn.
    """
    drawn = [(number, x, y) for number, (x, y) in enumerate(points) if y is not None]
    most_x = max((x for _, x, _ in drawn), default=0.0) or 1.0
    most_y = max((y for _, _, y in drawn), default=0.0) or 1.0
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(up)} against {escape(across)}">',
        _line(_LEFT, 10, _LEFT, _HEIGHT - _BOTTOM), _line(_LEFT, _HEIGHT - _BOTTOM, _WIDTH - 10, _HEIGHT - _BOTTOM),
    ]  # fmt: skip
    for share in (0.0, 0.5, 1.0):
        x, y = _at(share, share)
        parts.append(f'<text x="{x:.0f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{share * most_x:.3g}</text>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{share * most_y:.3g}</text>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(across)}</text>')
    parts.append(f'<text x="12" y="{_HEIGHT / 2}" transform="rotate(-90 12 {_HEIGHT / 2})">{escape(up)}</text>')
    for number, x, y in drawn:
        left, top = _at(x / most_x, y / most_y)
        kind = ' class="now"' if number == 0 else ""
        hint = f"<title>{number}: {y:.3g} at {x:.3g}</title>"
        parts.append(
            f'<g{kind}><circle cx="{left:.1f}" cy="{top:.1f}" r="5">{hint}</circle>'
            f'<text x="{left + 7:.1f}" y="{top - 5:.1f}">{number}</text></g>'
        )
    return "".join([*parts, "</svg>"])


def _at(x: float, y: float) -> tuple[float, float]:
    """Return the position of a point, given as shares of the two axes."""
    return _LEFT + x * (_WIDTH - _LEFT - 30), _HEIGHT - _BOTTOM - y * (_HEIGHT - _BOTTOM - 24)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'
