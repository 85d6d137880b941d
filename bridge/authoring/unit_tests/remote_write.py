"""Prometheus' remote write, protocol 0.1.0: exact samples at exact times, stale markers included."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import requests

from bridge.authoring.unit_tests.histogram_notation import NativeHistogram
from bridge.net.session import call

Series = tuple[Mapping[str, str], Sequence[tuple[int, float | NativeHistogram]]]
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def write(session: requests.Session, url: str, series: Iterable[Series], deadline: float = 60.0) -> str:
    """Send (labels, [(ms, value), ...]); times of a series ascend. What the server refused, "" when it took all.

    Raises NetError.
    """
    body = snappy(b"".join(field(1, _series(labels, samples)) for labels, samples in series))
    answer = call(session, "POST", f"{url}/api/v1/write", deadline=deadline, data=body, headers=_HEADERS)
    return "" if answer.status in {200, 204} else f"HTTP {answer.status}: {answer.body.decode(errors='replace')[:500]}"


def _series(labels: Mapping[str, str], samples: Sequence[tuple[int, float | NativeHistogram]]) -> bytes:
    points = (_point(at, value) for at, value in samples)
    pairs = (field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in sorted(labels.items()))
    return b"".join((*pairs, *points))


def _point(at: int, value: float | NativeHistogram) -> bytes:
    if isinstance(value, NativeHistogram):
        return field(4, value.encoded(at))
    # A double is packed as it came: the stale marker is one NaN among many.
    return field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at))


def field(number: int, data: bytes) -> bytes:
    """Return a length-delimited field of a protobuf message."""
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """Return a number in base 128, lowest group first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def snappy(data: bytes) -> bytes:
    """Return the data as uncompressed literals, which every reader of snappy's block format accepts."""
    parts = [varint(len(data))]
    for start in range(0, len(data), 65536):
        chunk = data[start : start + 65536]
        parts += [bytes([61 << 2]), struct.pack("<H", len(chunk) - 1), chunk]
    return b"".join(parts)
