"""Formats of times and numbers on pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup

from bridge.domain.batch import EventKind
from bridge.domain.times import Duration, Timestamp, format_duration, rfc3339

_SECONDS = {
    "microseconds": 1e-6, "us": 1e-6, "milliseconds": 1e-3, "ms": 1e-3, "seconds": 1.0, "s": 1.0, "minutes": 60.0,
}  # fmt: skip
_SHARES = {"ratio": 100.0, "percent": 1.0, "%": 1.0}
_DIGITS = 4  # significant digits of a number
_GROUPED, _TINY, _HUGE = 1e4, 1e-4, 1e15


def clock(instant: Timestamp) -> Markup:
    """Return a `time` element in UTC, which app.js shows in local time; 0 as a dash."""
    if not instant:
        return Markup("-")
    text = when(instant)
    return Markup('<time datetime="{}Z">{} UTC</time>').format(text.replace(" ", "T"), text)


def when(instant: Timestamp) -> str:
    """Format date and time in UTC, to the second; 0 as a dash."""
    return rfc3339(instant)[:19].replace("T", " ") if instant else "-"


def day(instant: Timestamp) -> str:
    """Format weekday, date and minute in UTC, such as `Tuesday 2026-12-01 14:05`."""
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%A %Y-%m-%d %H:%M")


def figure(value: float | None) -> str:
    """Format a number with four significant digits; None and NaN as a dash."""
    if value is None or math.isnan(value):
        return "-"
    size = abs(value)
    if math.isinf(value) or size >= _HUGE or 0 < size < _TINY:
        return f"{value:.3g}"
    if size >= _GROUPED:
        return f"{value:,.0f}"
    return f"{value:.{_DIGITS}g}"


def unit_of(unit: str, event: str) -> str:
    """Return the unit of a signal; error rates without one are ratios."""
    return unit or ("ratio" if event == EventKind.INFERENCE_ERROR.value else "")


def reading(value: float | None, unit: str, event: str = "") -> str:
    """Format a number with its unit as people write it: 125 ms, 0.38 %, 0.702; None and NaN as a dash."""
    named = unit_of(unit, event)
    if value is None or not math.isfinite(value):
        return figure(value)
    if named in _SECONDS:
        return _seconds(value * _SECONDS[named])
    if named in _SHARES:
        return f"{figure(float(f'{value * _SHARES[named]:.3g}'))} %"
    return f"{figure(value)} {named}" if named else figure(value)


def _seconds(value: float) -> str:
    """Format a time in the unit that suits its size."""
    size = abs(value)
    if not size:
        return "0 s"
    if size < 1e-3:
        return f"{value * 1e6:.3g} µs"
    if size < 1:
        return f"{value * 1e3:.3g} ms"
    if size < 120:
        return f"{value:.3g} s"
    return f"{value / 60:.3g} min" if size < 7200 else f"{figure(value / 3600)} h"


def parameter(value: object) -> str:
    """Format a strategy's parameter; lists with commas, the strategies of a vote by name."""
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {parameter(item)}" if item else str(name) for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(parameter, value))
    return str(value)


def duration(length: Duration) -> str:
    """Format a duration as Prometheus does; 0 as a dash."""
    return format_duration(length) if length else "-"


def words(text: str) -> str:
    """Replace the underscores of an identifier by spaces."""
    return text.replace("_", " ")
