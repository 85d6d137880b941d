"""Selectors and metric names in an expression, found by regular expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.domain.times import Duration, parse_duration

# Unterminated parts extend to the end of the expression; searching for each terminator would take quadratic time.
_OPAQUE = re.compile(
    r""""(?:[^"\\]|\\.)*+(?:"|\\?\Z)|'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|`[^`]*`?|\[[^\]]*\]?|#[^\n]*""", re.DOTALL
)
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)?", re.IGNORECASE)
_SELECTOR = re.compile(
    r"(?<![\w:])(?P<name>[a-zA-Z_:][\w:]*)(?:\s*\{[^}]*+(?:\}|\Z))?(?!\s*\(|[\w:])|\{[^}]*+(?:\}|\Z)"
)
_RANGE = re.compile(r"\s*\[\s*([0-9][0-9a-z]*)\s*\]")
_WORDS = frozenset(
    {
        "and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right",
        "atan2", "inf", "nan", "sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values",
        "bottomk", "topk", "quantile", "limitk", "limit_ratio", "start", "end",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Selector:
    """Selector of an expression.

    text: as written, without range and modifiers.
    metric: name, "" for a selector by labels only.
    window: range in ms, 0 without one or for a subquery.
    """

    text: str
    metric: str
    window: Duration


def selectors(expression: str) -> list[Selector]:
    """Return the distinct selectors, in order."""
    masked = expression
    for pattern in (_OPAQUE, _GROUPING):
        masked = pattern.sub(lambda match: " " * len(match.group()), masked)
    unique: dict[Selector, None] = {}
    for match in _SELECTOR.finditer(masked):
        metric = match["name"] or ""
        if metric.lower() not in _WORDS:
            range_ = _RANGE.match(expression, match.end())
            text = expression[match.start() : match.end()].strip()
            unique[Selector(text, metric, range_length(range_[1]) if range_ else 0)] = None
    return list(unique)


def metric_names(expression: str) -> set[str]:
    """Return the metric names in an expression."""
    return {selector.metric for selector in selectors(expression) if selector.metric}


def range_length(text: str) -> Duration:
    """Return the duration between the brackets, in ms; 0 if it is not a duration."""
    try:
        return parse_duration(text)
    except ValueError:
        return 0
