"""Charts as inline SVG: signal, statistic, threshold, requests and labelled windows of one rule and model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from bridge.authoring.backtest.recording import STEPS, Cells, Line
from bridge.domain.times import Timestamp, rfc3339

WIDTH, HEIGHT = 880, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 6, 10, 20


@dataclass(frozen=True, slots=True)
class Chart:
    """Content of a chart; all times in ms.

    line: what was recorded over [since, until].
    requests: (time, reason).
    windows: labelled windows, (start, end).
    """

    title: str
    since: Timestamp
    until: Timestamp
    line: Line
    requests: Sequence[tuple[Timestamp, str]] = ()
    windows: Sequence[tuple[Timestamp, Timestamp]] = ()

    @property
    def judged_apart(self) -> bool:
        """True when the statistic differs from the value."""
        low, high, statistic = self.line.low, self.line.high, self.line.statistic
        seen = np.isfinite(statistic) & np.isfinite(low)
        slack = 1e-5 * np.maximum(1.0, np.abs(high[seen]))
        return bool(((statistic[seen] < low[seen] - slack) | (statistic[seen] > high[seen] + slack)).any())


def svg(chart: Chart) -> str:
    """Draw one picture, or two when the statistic differs from the value; all text is escaped."""
    line = chart.line
    if not chart.judged_apart:
        return _picture(chart, "signal", line.low, line.high, line.threshold)
    nothing = np.full(STEPS, np.nan, np.float32)
    signal = _picture(chart, "signal", line.low, line.high, nothing)
    return signal + _picture(chart, "statistic", line.statistic, line.statistic, line.threshold)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Scale from times and values to coordinates of the picture."""

    since: Timestamp
    until: Timestamp
    low: float
    high: float

    def x(self, at: float) -> float:
        share = (min(max(at, self.since), self.until) - self.since) / max(1, self.until - self.since)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def step(self, number: int) -> float:
        """Return the x coordinate of the middle of a recorded step."""
        return self.x(self.since + (number + 0.5) * (self.until - self.since) / STEPS)

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - _TOP - _BOTTOM)


def _scale(chart: Chart, *columns: Cells) -> _Scale | None:
    known = np.concatenate([column[np.isfinite(column)] for column in columns]).astype(np.float64)
    if not len(known):
        return None
    low, high = float(known.min()), float(known.max())
    room = (high - low) * 0.05 or max(1e-9, abs(high) * 0.05, 0.5 if high == 0 else 0.0)
    return _Scale(chart.since, chart.until, low - room, high + room)


def _picture(chart: Chart, what: str, low: Cells, high: Cells, threshold: Cells) -> str:
    scale = _scale(chart, low, high, threshold)
    if scale is None:
        return f'<p class="soft">{what}: no numbers to draw</p>'
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{chart.title}: {what}")}">']
    parts += _windows(chart, scale)
    parts += _axes(chart, scale, what)
    parts += [f'<polyline class="{what}" points="{points}"/>' for points in _runs(scale, low, high)]
    parts += [f'<polyline class="threshold" points="{points}"/>' for points in _runs(scale, threshold, threshold)]
    parts += _requests(chart, scale)
    return "".join([*parts, "</svg>"])


def _windows(chart: Chart, scale: _Scale) -> Iterator[str]:
    for begins, ends in chart.windows:
        if ends >= chart.since and begins <= chart.until:
            left, width = scale.x(begins), max(1.0, scale.x(ends) - scale.x(begins))
            height = HEIGHT - _TOP - _BOTTOM
            yield f'<rect class="window" x="{left:.1f}" y="{_TOP}" width="{width:.1f}" height="{height}"/>'


def _axes(chart: Chart, scale: _Scale, what: str) -> Iterator[str]:
    for share in (0.1, 0.5, 0.9):
        value = scale.low + share * (scale.high - scale.low)
        at = scale.y(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:.4g}</text>'
    foot = HEIGHT - 5
    yield f'<text x="{_LEFT}" y="{foot}">{rfc3339(chart.since)[:16]}</text>'
    yield f'<text x="{(_LEFT + WIDTH) / 2:.0f}" y="{foot}" text-anchor="middle">{what}</text>'
    yield f'<text x="{WIDTH - _RIGHT}" y="{foot}" text-anchor="end">{rfc3339(chart.until)[:16]}</text>'


def _runs(scale: _Scale, low: Cells, high: Cells) -> Iterator[str]:
    """Yield the points of every stretch without a gap: each step from its lowest to its highest value."""
    points: list[str] = []
    for number in range(STEPS):
        if np.isfinite(low[number]):
            x = scale.step(number)
            points.append(f"{x:.1f},{scale.y(float(low[number])):.1f}")
            points.append(f"{x:.1f},{scale.y(float(high[number])):.1f}" if high[number] != low[number] else "")
        elif points:
            yield _joined(points)
            points = []
    if points:
        yield _joined(points)


def _joined(points: list[str]) -> str:
    """Join points; draw a single point as a short line, so that it is visible."""
    known = [point for point in points if point]
    if len(known) == 1:
        x, y = known[0].split(",")
        known.append(f"{float(x) + 1.5:.1f},{y}")
    return " ".join(known)


def _requests(chart: Chart, scale: _Scale) -> Iterator[str]:
    for at, reason in chart.requests:
        x = scale.x(at)
        yield (
            f'<g class="request"><line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
            f'<circle cx="{x:.1f}" cy="{_TOP}" r="3.5"/><title>{rfc3339(at)} {escape(reason)}</title></g>'
        )
