"""Check whether a range query evaluates an expression at each instant as an instant query would.

`@ start()`, `@ end()`, `step()` and `range()` depend on the range, and so do some functions and windows of MetricsQL.
"""

from __future__ import annotations

import re

_OPAQUE = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`|\#[^\n]*""")
_CALL = re.compile(r"(?<![\w:.])([a-zA-Z_:][\w:.]*)\s*(?=\()")
_IN_STEPS = re.compile(r"(?<![\w:.])\d[\d.]*i\b", re.IGNORECASE)  # of MetricsQL: a multiple of the step
_WINDOW = re.compile(r"\[")
_WORDS = frozenset(
    {
        "and", "or", "unless", "atan2", "bool", "offset", "by", "without", "on", "ignoring", "group_left",
        "group_right", "fill", "fill_left", "fill_right", "sum", "avg", "min", "max", "count", "stddev", "stdvar",
        "topk", "bottomk", "count_values", "quantile", "group", "limitk", "limit_ratio",
    }
)  # fmt: skip
_OF_WINDOWS = frozenset(
    {
        "absent_over_time", "avg_over_time", "changes", "count_over_time", "delta", "deriv",
        "double_exponential_smoothing", "first_over_time", "holt_winters", "idelta", "increase", "irate",
        "last_over_time", "mad_over_time", "max_over_time", "min_over_time", "predict_linear", "present_over_time",
        "quantile_over_time", "rate", "resets", "stddev_over_time", "stdvar_over_time", "sum_over_time",
        "ts_of_first_over_time", "ts_of_last_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
    }
)  # fmt: skip
_OF_INSTANTS = frozenset(
    {
        "abs", "absent", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "clamp", "clamp_max", "clamp_min",
        "cos", "cosh", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "deg", "exp", "floor",
        "histogram_avg", "histogram_count", "histogram_fraction", "histogram_quantile", "histogram_stddev",
        "histogram_stdvar", "histogram_sum", "hour", "label_join", "label_replace", "ln", "log10", "log2", "minute",
        "month", "pi", "rad", "round", "scalar", "sgn", "sin", "sinh", "sort", "sort_by_label", "sort_by_label_desc",
        "sort_desc", "sqrt", "tan", "tanh", "time", "timestamp", "vector", "year",
    }
)  # fmt: skip


def depends_on_range(expr: str) -> str:
    """Return the part of the expression that may depend on the query range, as written; "" when there is none.

    An unknown function is assumed to depend on it: slower, but never wrong.
    """
    bare = _OPAQUE.sub(" ", expr)
    of_windows = 0
    for call in _CALL.finditer(bare):
        name = call[1].lower()
        if name in _OF_WINDOWS:
            of_windows += 1
        elif name not in _WORDS and name not in _OF_INSTANTS:
            return f"{call[1]}()"
    if steps := _IN_STEPS.search(bare):
        return steps.group()
    return "a window without a length" if of_windows > len(_WINDOW.findall(bare)) else ""
