"""Annotation templates: a subset of Prometheus' language, compiled once, never evaluated from data.

`{{ $labels.NAME }}`, `{{ $value }}`, `{{ $threshold }}`, and for numbers `| humanize`, `| humanizePercentage`,
`| humanizeDuration`, `| printf "%.2f"`, `{{ printf "%.2f" $value }}`. Numbers print like Go's %v; `{{-` and `-}}`
trim adjacent white space.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

_LABEL = re.compile(r"\$labels\.([a-zA-Z_][a-zA-Z0-9_]*)")
_PRINTF = re.compile(r'printf\s+"(%(?:\.\d{1,2})?[feg])"(?:\s+(\S+))?')
_LARGEST_PLAIN = 1e6
_LONGEST = 2.0**63
KNOWN = '$labels.NAME, $value, $threshold, | humanize, | humanizePercentage, | humanizeDuration, | printf "%.2f"'

Number = Callable[[float], str]
ConditionEvaluator = Callable[[Mapping[str, str], float, float | None], str]


def go_float(value: float) -> str:
    """Return a float as Go's %v prints it: shortest digits, with an exponent below 1e-4 and from 1e+06 on."""
    if value - value != 0:  # NaN and the infinities
        return "NaN" if value != value else ("+Inf" if value > 0 else "-Inf")  # noqa: PLR0124 - the test for NaN
    text = repr(value)
    if -_LARGEST_PLAIN < value < _LARGEST_PLAIN or "e" in text:
        return text.removesuffix(".0")
    return _with_exponent(text)


def _with_exponent(text: str) -> str:
    """Return plain digits of 1000000 or more in scientific form: "1234567.5" -> "1.2345675e+06"."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, _, rest = digits.partition(".")
    significant = (whole + rest).rstrip("0")
    point = f".{significant[1:]}" if len(significant) > 1 else ""
    return f"{sign}{significant[0]}{point}e+{len(whole) - 1:02d}"


def humanize(value: float) -> str:
    """Return the number with a metric prefix: 1234567 -> 1.235M."""
    if value == 0 or not math.isfinite(value):
        return _four(value)
    prefix = ""
    if abs(value) >= 1:
        for unit in "kMGTPEZY":
            if abs(value) < 1000:
                break
            prefix, value = unit, value / 1000
    else:
        value, prefix = _small(value)
    return _four(value) + prefix


def humanize_percentage(value: float) -> str:
    """Return a ratio as a percentage: 0.1234 -> 12.34%."""
    return _four(value * 100) + "%"


def humanize_duration(value: float) -> str:
    """Return seconds in days, hours, minutes and seconds: 3723 -> 1h 2m 3s."""
    if not math.isfinite(value) or value == 0:
        return _four(value) + ("s" if value == 0 else "")
    if abs(value) < 1:
        value, prefix = _small(value)
        return f"{_four(value)}{prefix}s"
    if abs(value) >= _LONGEST:  # where Prometheus overflows
        return f"{_four(value)}s"
    sign, whole = ("-" if value < 0 else ""), int(abs(value))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if whole < 60:
        return f"{sign}{_four(abs(value))}s"
    first = 0 if days else 1 if hours else 2
    return sign + " ".join([f"{days}d", f"{hours}h", f"{minutes}m", f"{whole % 60}s"][first:])


def _small(value: float) -> tuple[float, str]:
    prefix = ""
    for unit in "munpfazy":
        if abs(value) >= 1:
            break
        prefix, value = unit, value * 1000
    return value, prefix


def _four(value: float) -> str:
    """Return the number as Go's %.4g prints it."""
    if not math.isfinite(value):
        return go_float(value)
    return f"{value:.4g}"


_FILTERS: dict[str, Number] = {
    "humanize": humanize,
    "humanizePercentage": humanize_percentage,
    "humanizeDuration": humanize_duration,
}


class Template:
    """Compiled annotation. Raises ValueError with the supported syntax if it cannot be parsed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = _compile(text)

    def render(self, labels: Mapping[str, str], value: float, threshold: float | None) -> str:
        """Return the text for one alert; a missing label is empty, as in Prometheus."""
        return "".join([part if isinstance(part, str) else part(labels, value, threshold) for part in self._parts])


def _compile(text: str) -> list[str | ConditionEvaluator]:
    parts: list[str | ConditionEvaluator] = []
    at, trim = 0, False
    while (start := text.find("{{", at)) >= 0 and (end := text.find("}}", start)) >= 0:
        inner = text[start + 2 : end]
        before, after = inner[:1] == "-" and inner[1:2].isspace(), inner[-1:] == "-" and inner[-2:-1].isspace()
        parts.append(_plain(text[at:start], before=trim, after=before))
        parts.append(_action(inner[before : len(inner) - after].strip()))
        at, trim = end + 2, after
    parts.append(_plain(text[at:], before=trim))
    return [part for part in parts if part != ""]


def _plain(text: str, *, before: bool = False, after: bool = False) -> str:
    """Return text between actions, without the white space that they trim."""
    if "{{" in text or "}}" in text:
        raise ValueError("braces do not pair up: an action is written {{ $value }}")
    text = text.lstrip() if before else text
    return text.rstrip() if after else text


def _action(action: str) -> ConditionEvaluator:
    source, *filters = (piece.strip() for piece in action.split("|"))
    direct = _PRINTF.fullmatch(source)
    if direct is not None and direct.group(2):
        source, filters = direct.group(2), [f'printf "{direct.group(1)}"', *filters]
    label = _LABEL.fullmatch(source)
    if label is not None:
        if filters:
            raise ValueError(f"{{{{ {action} }}}}: a label is text, filters are for numbers")
        name = label.group(1)
        return lambda labels, _value, _threshold: labels.get(name, "")
    if source not in {"$value", "$threshold"}:
        raise ValueError(f"{{{{ {action} }}}} is not understood; known are {KNOWN}")
    return _number(source, _filter(action, filters))


def _filter(action: str, filters: list[str]) -> Number:
    if not filters:
        return go_float
    if len(filters) > 1:
        raise ValueError(f"{{{{ {action} }}}}: one filter at most")
    printf = _PRINTF.fullmatch(filters[0])
    if printf is not None and not printf.group(2):
        form = printf.group(1)
        if form == "%g":  # Go's shortest form; Python's has six digits
            return go_float
        return lambda value: form % value if math.isfinite(value) else go_float(value)
    if filters[0] not in _FILTERS:
        raise ValueError(f"{{{{ {action} }}}}: unknown filter {filters[0]!r}; known are {KNOWN}")
    return _FILTERS[filters[0]]


def _number(source: str, shown: Number) -> ConditionEvaluator:
    if source == "$value":
        return lambda _labels, value, _threshold: shown(value)
    return lambda _labels, _value, threshold: "" if threshold is None else shown(threshold)
