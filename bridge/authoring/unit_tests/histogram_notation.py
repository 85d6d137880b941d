"""promtool's notation of native histograms: {{schema:1 sum:3 count:2 buckets:[1 1] offset:-1}}."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass, replace

_SCALARS = {"schema": int, "sum": float, "count": float, "z_bucket": float, "z_bucket_w": float,
            "offset": int, "n_offset": int}  # fmt: skip
_LISTS = frozenset({"buckets", "n_buckets"})
_HINTS = {"unknown": 0, "reset": 1, "not_reset": 2, "gauge": 3}
_ITEM = re.compile(r"\s*([a-z_]+):(\[[^\]]*\]|[^\s\]]+)")
_DIGITS = 12  # of a bound that count in a comparison


@dataclass(frozen=True, slots=True)
class NativeHistogram:
    """Histogram with exponential buckets. buckets: counts from index `offset` on; n_: of negative values."""

    schema: int = 0
    sum: float = 0.0
    count: float = 0.0
    z_bucket: float = 0.0
    z_bucket_w: float = 0.0
    buckets: tuple[float, ...] = ()
    offset: int = 0
    n_buckets: tuple[float, ...] = ()
    n_offset: int = 0
    hint: int = 0

    def plus(self, other: NativeHistogram, sign: int) -> NativeHistogram:
        """Return the sum of two histograms, or with sign -1 their difference. Raises ValueError."""
        if (self.schema, self.z_bucket_w) != (other.schema, other.z_bucket_w):
            raise ValueError("a histogram and its step need the same schema and z_bucket_w")
        buckets, offset = _added(self.buckets, self.offset, other.buckets, other.offset, sign)
        n_buckets, n_offset = _added(self.n_buckets, self.n_offset, other.n_buckets, other.n_offset, sign)
        return replace(
            self, sum=self.sum + sign * other.sum, count=self.count + sign * other.count,
            z_bucket=self.z_bucket + sign * other.z_bucket,
            buckets=buckets, offset=offset, n_buckets=n_buckets, n_offset=n_offset,
        )  # fmt: skip

    def shown(self) -> dict[str, object]:
        """Return count, sum and the buckets that are not empty, as Prometheus' API has them."""
        found = [[1, -high, -low, n] for low, high, n in self._bounds(self.n_buckets, self.n_offset)][::-1]
        if self.z_bucket:
            found.append([3, -self.z_bucket_w, self.z_bucket_w, self.z_bucket])
        found += [[0, low, high, n] for low, high, n in self._bounds(self.buckets, self.offset)]
        return shown({"count": self.count, "sum": self.sum, "buckets": found})

    def _bounds(self, counts: tuple[float, ...], offset: int) -> list[tuple[float, float, float]]:
        step = 2.0**-self.schema
        return [
            (2.0 ** ((index - 1) * step), 2.0 ** (index * step), count)
            for index, count in enumerate(counts, offset)
            if count
        ]

    def encoded(self, at: int) -> bytes:
        """Return the remote-write message of a float histogram at an instant in ms."""
        parts = [
            _double(2, self.count), _double(3, self.sum), _zigzag(4, self.schema), _double(5, self.z_bucket_w),
            _double(7, self.z_bucket),
        ]  # fmt: skip
        for span_field, counts_field, counts, offset in ((8, 10, self.n_buckets, self.n_offset),
                                                         (11, 13, self.buckets, self.offset)):  # fmt: skip
            if counts:
                span = _zigzag(1, offset) + bytes([2 << 3]) + _varint(len(counts))
                parts.append(_field(span_field, span))
                parts.append(_field(counts_field, struct.pack(f"<{len(counts)}d", *counts)))
        return b"".join((*parts, bytes([14 << 3]), _varint(self.hint), bytes([15 << 3]), _varint(at)))


def _added(
    counts: tuple[float, ...], offset: int, others: tuple[float, ...], other_offset: int, sign: int
) -> tuple[tuple[float, ...], int]:
    if not others:
        return counts, offset
    if not counts:
        return tuple(sign * count for count in others), other_offset
    begin = min(offset, other_offset)
    total = [0.0] * (max(offset + len(counts), other_offset + len(others)) - begin)
    for first, items, factor in ((offset, counts, 1), (other_offset, others, sign)):
        for index, count in enumerate(items, first - begin):
            total[index] += factor * count
    return tuple(total), begin


def parse(text: str) -> NativeHistogram:
    """Return the histogram of `{{...}}`. Raises ValueError."""
    wrong = f"{text!r} is not a histogram; write {{{{schema:0 sum:3 count:2 buckets:[1 1]}}}}"
    if not (text.startswith("{{") and text.endswith("}}")):
        raise ValueError(wrong)
    inner, position = text[2:-2].rstrip(), 0
    given: dict[str, object] = {}
    while position < len(inner):
        item = _ITEM.match(inner, position)
        if item is None or item[1] in given:
            raise ValueError(wrong)
        given[item[1]] = _value(item[1], item[2], wrong)
        position = item.end()
    return NativeHistogram(**{"hint" if key == "counter_reset_hint" else key: value for key, value in given.items()})  # type: ignore[arg-type]


def _value(key: str, text: str, wrong: str) -> object:
    try:
        if key in _LISTS:
            return tuple(float(part) for part in text.strip("[]").split())
        return _HINTS[text] if key == "counter_reset_hint" else _SCALARS[key](text)
    except (KeyError, ValueError):
        raise ValueError(wrong) from None


def shown(histogram: dict[str, object]) -> dict[str, object]:
    """Return a histogram of the API with numbers, rounded so that bounds of different arithmetic are the same."""
    rows: object = histogram.get("buckets") or []
    buckets = [[_rounded(item) for item in row] for row in rows] if isinstance(rows, list) else []
    return {"count": _rounded(histogram["count"]), "sum": _rounded(histogram["sum"]), "buckets": buckets}


def _rounded(value: object) -> float:
    number = float(str(value))
    return number if not number or not math.isfinite(number) else float(f"{number:.{_DIGITS}g}")


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _zigzag(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint((value << 1) ^ (value >> 63))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
