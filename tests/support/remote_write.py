"""Remote write in the few lines that tests need: exact samples at exact times, NaN and stale markers included."""

from __future__ import annotations

import struct
import urllib.request
from collections.abc import Iterable, Mapping, Sequence

from bridge.authoring.unit_tests.remote_write import field, snappy, varint

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]  # prometheus/model/value: StaleNaN

Series = tuple[Mapping[str, str], Sequence[tuple[int, float]]]


Native = tuple[Mapping[str, str], int] | tuple[Mapping[str, str], int, Sequence[int]]


def remote_write(url: str, series: Iterable[Series], histograms: Iterable[Native] = ()) -> None:
    """Send (labels with __name__, [(ms, value), ...]) to a Prometheus started with the remote write receiver.

    Times within one series ascend, and no sample is older than an hour before the newest one in the store.
    histograms: (labels, ms) of empty native histograms, or with the counts of their buckets, which end at 1, 2, 4 ...
    (Prometheus needs `--enable-feature=native-histograms`).
    """
    body = b"".join(field(1, _series(labels, samples)) for labels, samples in series)
    body += b"".join(field(1, _names(labels) + field(4, _histogram(*rest))) for labels, *rest in histograms)
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    request = urllib.request.Request(f"{url}/api/v1/write", data=snappy(body), headers=headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.status in {200, 204}, answer.status


def _series(labels: Mapping[str, str], samples: Sequence[tuple[int, float]]) -> bytes:
    # packed as it came: STALE is one NaN among many
    points = (field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at)) for at, value in samples)
    return _names(labels) + b"".join(points)


def _names(labels: Mapping[str, str]) -> bytes:
    pairs = sorted(labels.items())
    return b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in pairs)


def _histogram(at: int, counts: Sequence[int] = ()) -> bytes:
    """prometheus.Histogram with count_int, sum 0, schema 0, zero_threshold 0.001, zero_count_int 0, and buckets."""
    double = struct.pack("<d", 0.001)
    head = b"\x08" + varint(sum(counts)) + b"\x19" + bytes(8) + b"\x20\x00" + b"\x29" + double + b"\x30\x00"
    steps = [after - before for before, after in zip([0, *counts], counts, strict=False)]
    deltas = b"".join(varint(step * 2 if step >= 0 else -step * 2 - 1) for step in steps)
    buckets = field(11, b"\x10" + varint(len(counts))) + field(12, deltas) if counts else b""
    return head + buckets + b"\x78" + varint(at)
