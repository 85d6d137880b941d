"""Functions that Prometheus adds to Go's templates, as its template reference lists them.

https://prometheus.io/docs/prometheus/latest/configuration/template_reference/
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlsplit

import re2

from bridge.domain.regex import ALERTMANAGER, limited
from bridge.domain.times import Timestamp, parse_duration
from bridge.templates import fmt
from bridge.templates.errors import CallError
from bridge.templates.gotime import GoDuration, GoTime
from bridge.templates.values import (
    ANY,
    FLOAT,
    SAMPLE,
    STRING,
    VECTOR,
    Arguments,
    Function,
    Html,
    Sample,
    Vector,
    type_name,
)

Query = Callable[[str, Timestamp], Sequence[Sample]]
_LARGE, _SMALL = "kMGTPEZY", "munpfazy"
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_FLOAT = re.compile(r"[+-]?(?:inf(?:inity)?|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.IGNORECASE)
_UNDERSCORES = re.compile(r"(?<=\d)_(?=\d)")
_GROUP = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})", re.ASCII)
_SHOWN = 100  # characters of a pattern in an error
_REASONS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "bad repetition operator": "invalid nested repetition operator",
    "pattern too large - compile failed": "expression too large",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid named capture group": "invalid named capture",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid repetition size": "invalid repeat count",
    "trailing \\": "trailing backslash at end of expression",
}
LARGEST_TEXT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of an expansion.

    at: its instant. query: evaluates an expression at an instant; raises CallError. max_queries: how many it may ask.
    """

    at: Timestamp
    external_url: str
    query: Query
    max_queries: int = 20


def to_float(value: Any) -> float:
    """Return a number or its text as a float. Raises CallError."""
    if isinstance(value, str):
        bare = _UNDERSCORES.sub("", value)
        if _FLOAT.fullmatch(bare):
            number = float(bare)
            if math.isinf(number) and "n" not in bare.lower():
                raise CallError(f"strconv.ParseFloat: parsing {fmt.quote(value)}: value out of range")
            return number
        if re.fullmatch(r"[+-]?0[xX][0-9a-fA-F]+(\.[0-9a-fA-F]*)?[pP][+-]?\d+", bare):
            return float.fromhex(bare)
        raise CallError(f"strconv.ParseFloat: parsing {fmt.quote(value)}: invalid syntax")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise CallError(f"can't convert {type_name(value)} to float")


def _four(value: float) -> str:
    return fmt.sprintf("%.4g", [value])


def _scaled(value: float, large: Sequence[str], base: float) -> str:
    prefix = ""
    for unit in large:
        if abs(value) < base:
            break
        prefix, value = unit, value / base
    return _four(value) + prefix


def _small(value: float) -> str:
    prefix = ""
    for unit in _SMALL:
        if abs(value) >= 1:
            break
        prefix, value = unit, value * 1000
    return _four(value) + prefix


def humanize(given: Any) -> str:
    """Return a number with a metric prefix: 1234567 -> 1.235M."""
    value = to_float(given)
    if value == 0 or not math.isfinite(value):
        return _four(value)
    return _scaled(value, _LARGE, 1000.0) if abs(value) >= 1 else _small(value)


def humanize1024(given: Any) -> str:
    """Return a number with a binary prefix: 1048576 -> 1Mi."""
    value = to_float(given)
    if abs(value) <= 1 or not math.isfinite(value):
        return _four(value)
    return _scaled(value, _BINARY, 1024.0)


def humanize_duration(given: Any) -> str:  # noqa: PLR0911 - as many forms
    """Return seconds as days, hours, minutes and seconds: 3723 -> 1h 2m 3s."""
    value = to_float(given)
    if not math.isfinite(value):
        return _four(value)
    if value == 0:
        return f"{_four(value)}s"
    if abs(value) < 1:
        return f"{_small(value)}s"
    sign, value = ("-" if value < 0 else ""), abs(value)
    whole = int(value) if value < 2.0**63 else -(2**63)  # where Go's conversion overflows
    days, hours, minutes, seconds = (
        _trunc(whole, 86400), _rest(_trunc(whole, 3600), 24), _rest(_trunc(whole, 60), 60), _rest(whole, 60),
    )  # fmt: skip
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{_four(value)}s"


def _trunc(value: int, by: int) -> int:
    """Divide as Go does: towards zero."""
    return -(-value // by) if value < 0 else value // by


def _rest(value: int, by: int) -> int:
    return value - by * _trunc(value, by)


def humanize_percentage(given: Any) -> str:
    """Return a share as a percentage: 0.1234 -> 12.34%."""
    return _four(to_float(given) * 100) + "%"


def to_time(given: Any) -> GoTime:
    """Return seconds since the epoch as a time. Raises CallError."""
    value = to_float(given)
    if not math.isfinite(value):
        raise CallError("value is NaN or Inf")
    nanoseconds = value * 1e9
    if not -(2.0**63) <= nanoseconds <= 2.0**63:
        shown = fmt.show(value)
        raise CallError(f"{shown} cannot be represented as a nanoseconds timestamp since it overflows int64")
    return GoTime(_trunc(int(nanoseconds), 1_000_000))


def humanize_timestamp(given: Any) -> str:
    """Return seconds since the epoch as Go prints a time."""
    value = to_float(given)
    return to_time(value).go_string() if math.isfinite(value) else _four(value)


def _by_letter(text: str, change: Callable[[str], str]) -> str:
    """Change letter by letter, as Go does: a letter that would become two stays."""
    return "".join(new if len(new := change(char)) == 1 else char for char in text)


def title(text: str) -> str:
    """Return the text with the first letter of each word in upper case."""
    found, before = [], " "
    for char in text:
        found.append(char.upper() if _separates(before) and len(char.upper()) == 1 else char)
        before = char
    return "".join(found)


def _separates(char: str) -> bool:
    if char.isascii():
        return not (char.isalnum() or char == "_")
    return not (char.isalpha() or char.isdigit()) and char.isspace()


def compiled_pattern(pattern: str) -> Any:
    """Compile a regular expression, limited in time and memory. Raises CallError in the words of Go."""
    try:
        return re2.compile(pattern, limited(pattern, ALERTMANAGER))
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise CallError(f"error parsing regexp: {_as_go(reason, pattern)}") from None


def _as_go(reason: str, pattern: str) -> str:
    """Return RE2's reason in the words of Go's regexp."""
    words, _, part = reason.partition(": ")
    return f"{_REASONS.get(words, words)}: `{part or pattern[:_SHOWN]}`"


def match(pattern: str, text: str) -> bool:
    """Return whether a regular expression matches anywhere in the text."""
    return compiled_pattern(pattern).search(text) is not None


def replace_all(pattern: str, replacement: str, text: str) -> str:
    """Return the text with each match replaced; $1 and ${name} stand for groups."""
    compiled, parts, last, at, size = compiled_pattern(pattern), [], 0, 0, 0
    while at <= len(text):
        found = compiled.search(text, at)
        if found is None:
            break
        start, end = found.span()
        parts.append(text[last:start])
        if end > last or start == 0:
            parts.append(_expanded(replacement, found))
        size += len(parts[-1])
        if size > LARGEST_TEXT:
            raise CallError(f"result longer than {LARGEST_TEXT} characters")
        last = end
        at = at + 1 if at + 1 > end else end
    return "".join([*parts, text[last:]])


def _expanded(replacement: str, found: Any) -> str:
    def group(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        try:
            return found.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError, re2.error):
            return ""

    return _GROUP.sub(group, replacement)


def _split_host_port(text: str) -> tuple[str, str] | None:
    """Return host and port, or None where Go's net.SplitHostPort fails."""
    bracketed = re.fullmatch(r"\[([^\[\]]*)\]:([^:\[\]]*)", text)
    plain = bracketed or re.fullmatch(r"([^:\[\]]*):([^:\[\]]*)", text)
    return None if plain is None else (plain[1], plain[2])


def strip_port(text: str) -> str:
    """Return a host without its port."""
    found = _split_host_port(text)
    return text if found is None else found[0]


def strip_domain(text: str) -> str:
    """Return a host without its domain; its port stays."""
    found = _split_host_port(text)
    host, port = (text, "") if found is None else found
    try:
        ipaddress.ip_address(host)
    except ValueError:
        host = host.split(".")[0]
        return text if not host and not port else f"{host}:{port}" if port else host
    return text


def first(vector: Vector) -> Sample:
    """Return the first sample. Raises CallError when there is none."""
    if not vector:
        raise CallError("first() called on vector with no elements")
    sample: Sample = vector[0]
    return sample


def _of_sample(read: Callable[[Sample], Any]) -> Callable[[Any], Any]:
    def checked(sample: Any) -> Any:
        if sample is None:
            raise CallError("runtime error: invalid memory address or nil pointer dereference")
        return read(sample)

    return checked


def _duration(text: str) -> float:
    try:
        return parse_duration(text) / 1000
    except ValueError:
        raise CallError(f"not a valid duration string: {fmt.quote(text)}") from None


def _link(tab: int) -> Callable[[str], str]:
    return lambda expr: f"/graph?g0.expr={quote_plus(expr, safe='~')}&g0.tab={tab}"


def _sorted(name: str, vector: Vector) -> Vector:
    return Vector(sorted(vector, key=lambda sample: sample.Labels.get(name, "")))


STATIC: Mapping[str, Function] = {
    "first": Function(first, (VECTOR,)),
    "label": Function(lambda name, sample: _of_sample(lambda one: one.Labels.get(name, ""))(sample), (STRING, SAMPLE)),
    "value": Function(_of_sample(lambda sample: sample.Value), (SAMPLE,)),
    "strvalue": Function(_of_sample(lambda sample: sample.Labels.get("__value__", "")), (SAMPLE,)),
    "sortByLabel": Function(_sorted, (STRING, VECTOR)),
    "args": Function(lambda *values: Arguments({f"arg{index}": one for index, one in enumerate(values)}), (), ANY),
    "humanize": Function(humanize, (ANY,)),
    "humanize1024": Function(humanize1024, (ANY,)),
    "humanizeDuration": Function(humanize_duration, (ANY,)),
    "humanizePercentage": Function(humanize_percentage, (ANY,)),
    "humanizeTimestamp": Function(humanize_timestamp, (ANY,)),
    "toTime": Function(to_time, (ANY,)),
    "toDuration": Function(lambda value: GoDuration(int(to_float(value) * 1e9)), (ANY,)),
    "title": Function(title, (STRING,)),
    "toUpper": Function(lambda text: _by_letter(text, str.upper), (STRING,)),
    "toLower": Function(lambda text: _by_letter(text, str.lower), (STRING,)),
    "match": Function(match, (STRING, STRING)),
    "reReplaceAll": Function(replace_all, (STRING, STRING, STRING)),
    "graphLink": Function(_link(0), (STRING,)),
    "tableLink": Function(_link(1), (STRING,)),
    "parseDuration": Function(_duration, (STRING,)),
    "stripPort": Function(strip_port, (STRING,)),
    "stripDomain": Function(strip_domain, (STRING,)),
    "urlQueryEscape": Function(lambda text: quote_plus(text, safe="~"), (STRING,)),
    "safeHtml": Function(Html, (STRING,)),
}
DYNAMIC = frozenset({"query", "now", "externalURL", "pathPrefix", "tmpl"})


def functions_of(context: Context) -> dict[str, Function]:
    """Return the functions that depend on an expansion's surroundings."""
    asked = 0

    def query(expr: str) -> Vector:
        nonlocal asked
        asked += 1
        if asked > context.max_queries:
            raise CallError(f"more than {context.max_queries} queries")
        return Vector(context.query(expr, context.at))

    return {
        "query": Function(query, (STRING,)),
        "now": Function(lambda: context.at / 1000),
        "externalURL": Function(lambda: context.external_url),
        "pathPrefix": Function(lambda: urlsplit(context.external_url).path),
    }


__all__ = ["DYNAMIC", "FLOAT", "STATIC", "Context", "Query", "functions_of", "to_float"]
