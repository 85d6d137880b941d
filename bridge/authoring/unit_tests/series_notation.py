"""promtool's notation of series: `name{label="value"}` and `1 2+3x4 _ stale`. Facts of promtool's own documentation."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from bridge.authoring.unit_tests.histogram_notation import NativeHistogram, parse

STALE: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]  # the NaN that ends a series
MOST = 1_000_000

_UNSIGNED = r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|nan))"
_STEPS = re.compile(rf"([+-]?{_UNSIGNED})(?:([+-])({_UNSIGNED}))?x([0-9]+)")
_ONE = re.compile(rf"[+-]?{_UNSIGNED}")
_HISTOGRAM = re.compile(r"(\{\{.*?\}\})(?:(?:([+-])(\{\{.*?\}\}))?x([0-9]+))?", re.DOTALL)
_PARTS = re.compile(r"\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?\S*|\S+", re.DOTALL)
_GAP = re.compile(r"_(?:x([0-9]+))?")
_METRIC = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(.*)\})?", re.DOTALL)
_TEXT = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)"""
_LABEL = re.compile(rf"\s*([a-zA-Z_][a-zA-Z0-9_]*|{_TEXT})\s*=\s*({_TEXT})\s*(,|$)", re.DOTALL)
_QUOTED_NAME = re.compile(rf"\s*({_TEXT})\s*(,|$)", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


Value = float | NativeHistogram


def values(text: str) -> list[Value | None]:
    """Return one entry for each interval: a number or histogram, STALE, or None for no sample. Raises ValueError."""
    found: list[Value | None] = []
    for part in _PARTS.findall(text):
        found += _histograms(part) if part.startswith("{{") else _part(part)
        if len(found) > MOST:
            raise ValueError(f"more than {MOST} samples")
    return found


def _histograms(part: str) -> Iterator[NativeHistogram]:
    match = _HISTOGRAM.fullmatch(part)
    if match is None:
        raise ValueError(f"{part!r} is none of {{{{...}}}}, {{{{...}}}}x3, {{{{...}}}}+{{{{...}}}}x3")
    histogram = parse(match[1])
    yield histogram
    for _ in range(_count(match[4] or "0")):
        if match[3]:
            histogram = histogram.plus(parse(match[3]), -1 if match[2] == "-" else 1)
        yield histogram


def _part(part: str) -> Iterator[float | None]:
    gap, steps = _GAP.fullmatch(part), _STEPS.fullmatch(part)
    if part == "stale":
        yield STALE
    elif gap is not None:
        yield from [None] * _count(gap[1] or "1")
    elif steps is not None:
        first, sign, step, count = steps.groups()
        by = 0.0 if step is None else float(step) * (-1 if sign == "-" else 1)
        value = float(first)
        for _ in range(_count(count) + 1):
            yield value
            value += by  # added one after the other, as promtool does
    elif _ONE.fullmatch(part):
        yield float(part)
    else:
        raise ValueError(f"{part!r} is none of 1, 1x3, 1+2x3, 1-2x3, _, _x3, stale")


def _count(text: str) -> int:
    if len(text.lstrip("0")) > len(str(MOST)) or int(text) > MOST:
        raise ValueError(f"more than {MOST} samples")
    return int(text)


def labels(text: str) -> dict[str, str]:
    """Return the labels of a series, with `__name__` when it has one. Raises ValueError.

    Labels without a value are as if they were not there. Names between quotes are any UTF-8: {"a.b", "c.d"="e"}.
    """
    wrong = f'{text!r} is not a series; write name{{label="value"}}'
    match = _METRIC.fullmatch(text.strip())
    if match is None or (not match[1] and match[2] is None):
        raise ValueError(wrong)
    found = {"__name__": match[1]} if match[1] else {}
    rest, position = (match[2] or "").rstrip(), 0
    if not match[1] and (name := _QUOTED_NAME.match(rest)):
        found["__name__"], position = _unquoted(name[1]), name.end()
    while position < len(rest):
        pair = _LABEL.match(rest, position)
        if pair is None:
            raise ValueError(wrong)
        label = _unquoted(pair[1]) if pair[1][0] in "\"'`" else pair[1]
        if label in found:
            raise ValueError(f"{text!r} names the label {label} twice")
        found[label] = _unquoted(pair[2])
        position = pair.end()
    return {name: value for name, value in found.items() if value}


def labels_or_none(text: str) -> dict[str, str]:
    """Return the labels of a sample, which may have none. Raises ValueError."""
    return {} if text.strip() in {"", "{}"} else labels(text)


def _unquoted(quoted: str) -> str:
    """Return the value of a PromQL string: with escapes as in Go, or raw between backticks."""
    mark, inner = quoted[0], quoted[1:-1]
    return inner if mark == "`" else _ESCAPE.sub(lambda hit: _escaped(hit[1], mark), inner)


def _escaped(code: str, mark: str) -> str:
    if code in _ESCAPES:
        return _ESCAPES[code]
    if code == mark:
        return mark
    if len(code) == 1:
        raise ValueError(f"unknown escape \\{code} in a label's value")
    number = int(code, 8) if code.isdigit() else int(code[1:], 16)
    if 0xD800 <= number <= 0xDFFF:
        raise ValueError(f"\\{code} is half a surrogate pair, and no character")
    return chr(number)
