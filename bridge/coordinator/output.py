"""What a run printed: a capped log file, the last lines for people, and the new version that it names."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from types import TracebackType

from bridge.net.private import private_file

TAIL_BYTES = 64 * 1024
VERSION_MAX = 256


class RunLog:
    """A log file of at most `limit` bytes: the first half as it comes, the last half at the end, a note between.

    A training that prints gigabytes must not fill the disk, and its end says more than its middle.
    """

    def __init__(self, path: Path, limit: int) -> None:
        private_file(path)
        self._file = path.open("wb")
        self._room = limit // 2
        self._tail = Tail(limit - self._room)

    def write(self, data: bytes) -> None:
        now, later = data[: self._room], data[self._room :]
        if now:
            self._room -= len(now)
            self._file.write(now)
            self._file.flush()
        self._tail.add(later)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if self._tail.dropped:
                self._file.write(f"\n[... {self._tail.dropped} bytes left out ...]\n".encode())
            self._file.write(self._tail.data())


class Tail:
    """The last `limit` bytes of a stream; `dropped` counts what came before them."""

    def __init__(self, limit: int = TAIL_BYTES) -> None:
        self._limit = limit
        self._parts: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0

    def add(self, data: bytes) -> None:
        if not data:
            return
        self._parts.append(data)
        self._size += len(data)
        while self._size > self._limit:
            excess = self._size - self._limit
            first = self._parts.popleft()
            if len(first) > excess:
                self._parts.appendleft(first[excess:])
            cut = min(len(first), excess)
            self._size -= cut
            self.dropped += cut

    def data(self) -> bytes:
        return b"".join(self._parts)


def last_lines(data: bytes, lines: int = 3, size: int = 400) -> str:
    """The last non-empty lines, at most `size` characters of them, control characters made visible."""
    text = data.decode("utf-8", "replace")
    kept = [line.strip() for line in text.splitlines() if line.strip()][-lines:]
    clean = "\n".join("".join(char if char.isprintable() else "?" for char in line) for line in kept)
    return clean[-size:]


def new_version(stdout: bytes) -> str:
    """The `new_version` of the last line of standard output that is a JSON object with that key; else empty."""
    for line in reversed(stdout.splitlines()):
        if b"new_version" not in line:
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and isinstance(found.get("new_version"), str):
            return str(found["new_version"])[:VERSION_MAX]
    return ""
