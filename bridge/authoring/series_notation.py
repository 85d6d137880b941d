"""promtool's notation of series: `name{label="value"}` and `1 2+3x4 _ stale`. Facts of promtool's own documentation."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

STALE: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]  # the NaN that ends a series
MOST = 1_000_000

_NUMBER = r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI]nf|[nN]a[nN])"
_STEPS = re.compile(rf"({_NUMBER})(?:([+-])({_NUMBER[5:]}))?x([0-9]+)")
_ONE = re.compile(_NUMBER)
_GAP = re.compile(r"_(?:x([0-9]+))?")
_METRIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(.*)\})?\s*", re.DOTALL)
_LABEL = re.compile(r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(,|$)""", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t"}


def values(text: str) -> list[float | None]:
    """One entry for each interval: a number, STALE, or None for no sample. ValueError says which part is wrong."""
    found: list[float | None] = []
    for part in text.split():
        found += _part(part)
        if len(found) > MOST:
            raise ValueError(f"more than {MOST} samples")
    return found


def _part(part: str) -> Iterator[float | None]:
    gap, steps = _GAP.fullmatch(part), _STEPS.fullmatch(part)
    if part == "stale":
        yield STALE
    elif gap is not None:
        yield from [None] * int(gap[1] or 1)
    elif steps is not None:
        first, sign, step, count = steps.groups()
        if int(count) > MOST:
            raise ValueError(f"more than {MOST} samples")
        by = 0.0 if step is None else float(step) * (-1 if sign == "-" else 1)
        value = float(first)
        for _ in range(int(count) + 1):
            yield value
            value += by  # added one after the other, as promtool does
    elif _ONE.fullmatch(part):
        yield float(part)
    else:
        raise ValueError(f"{part!r} is none of 1, 1x3, 1+2x3, 1-2x3, _, _x3, stale")


def labels(text: str) -> dict[str, str]:
    """The labels of a series, `__name__` included when it has one. ValueError says what one looks like."""
    match = _METRIC.fullmatch(text)
    if match is None or (not match[1] and match[2] is None):
        raise ValueError(f'{text!r} is not a series; write name{{label="value"}}')
    found = {"__name__": match[1]} if match[1] else {}
    rest, place = match[2] or "", 0
    while place < len(rest.rstrip()):
        pair = _LABEL.match(rest, place)
        if pair is None:
            raise ValueError(f'{text!r} is not a series; write name{{label="value"}}')
        found[pair[1]] = re.sub(r"\\(.)", lambda hit: _ESCAPES.get(hit[1], hit[1]), pair[2][1:-1], flags=re.DOTALL)
        place = pair.end()
    return found
