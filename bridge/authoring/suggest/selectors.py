"""What an expression looks at: its metrics and selectors, found without a parser."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.domain.times import Duration, parse_duration

# What does not end reaches to the end of the expression: looking for the end of each such part takes quadratic time.
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
    """`text` as it is written, without range and modifiers. metric: "" when only labels are named.

    window: its range in ms, 0 when it has none (or that of a subquery).
    """

    text: str
    metric: str
    window: Duration


def selectors(expression: str) -> list[Selector]:
    """Every selector, each once, in their order."""
    masked = expression
    for pattern in (_OPAQUE, _GROUPING):
        masked = pattern.sub(lambda match: " " * len(match.group()), masked)
    found: dict[Selector, None] = {}
    for match in _SELECTOR.finditer(masked):
        metric = match["name"] or ""
        if metric.lower() not in _WORDS:
            range_ = _RANGE.match(expression, match.end())
            text = expression[match.start() : match.end()].strip()
            found[Selector(text, metric, range_length(range_[1]) if range_ else 0)] = None
    return list(found)


def metric_names(expression: str) -> set[str]:
    """Names in an expression that can only be metrics."""
    return {selector.metric for selector in selectors(expression) if selector.metric}


def range_length(text: str) -> Duration:
    """What stands between the brackets, in ms; 0 when it is no length of time."""
    try:
        return parse_duration(text)
    except ValueError:
        return 0
