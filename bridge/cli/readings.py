"""Readings as text: the value of a signal with its unit, and the limit of the statistic or of the value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bridge.domain.statistic import own_scale


def value_text(entry: Mapping[str, Any]) -> str:
    """Return the value with the signal's unit, "" without one. entry: of the API, with `value` and `unit`."""
    value = _number(entry["value"])
    return f"{value} {entry['unit']}" if value and entry["unit"] else value


def limit_text(entry: Mapping[str, Any]) -> str:
    """Return the limit, after the statistic if that is not the value itself; "" without a limit.

    entry: of the API, with `value`, `statistic` and `threshold`.
    """
    limit = _number(entry["threshold"])
    if not limit:
        return ""
    value, statistic = (math.nan if entry[key] is None else float(entry[key]) for key in ("value", "statistic"))
    return f"statistic {statistic:.4g}, limit {limit}" if own_scale(value, statistic) else f"limit {limit}"


def _number(value: float | str | None) -> str:
    """Return a number of the API as text; "" for none, which is null or "NaN"."""
    if isinstance(value, str):
        return "" if value == "NaN" else value
    return "" if value is None else f"{value:.4g}"
