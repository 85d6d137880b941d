"""Output of a run: a capped log file, the last lines for the message, and the new version."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from types import TracebackType

from bridge.net.private import private_file

TAIL_BYTES = 64 * 1024
VERSION_MAX = 256


class RunLog:
    """Log file of at most `limit` bytes: the first half is written at once, the last half on close, a note between.

    A training that prints gigabytes must not fill the disk, and its end is more informative than its middle.
    """

    def __init__(self, path: Path, limit: int) -> None:
        private_file(path)
        self._file = path.open("wb")
        self._remaining = limit // 2
        self._tail = Tail(limit - self._remaining)

    def write(self, data: bytes) -> None:
        """Append output."""
        head, rest = data[: self._remaining], data[self._remaining :]
        if head:
            self._remaining -= len(head)
            self._file.write(head)
            self._file.flush()
        self._tail.add(rest)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if self._tail.dropped:
                self._file.write(f"\n[... {self._tail.dropped} bytes omitted ...]\n".encode())
            self._file.write(self._tail.data())


class Tail:
    """Last `limit` bytes of a stream. dropped: number of bytes before them."""

    def __init__(self, limit: int = TAIL_BYTES) -> None:
        self._limit = limit
        self._parts: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0

    def add(self, data: bytes) -> None:
        """Append data, dropping the oldest bytes beyond the limit."""
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
        """Return the stored bytes."""
        return b"".join(self._parts)


def last_lines(data: bytes, lines: int = 3, size: int = 400) -> str:
    """Return the last non-empty lines, at most `size` characters; unprintable characters become "?"."""
    text = data.decode("utf-8", "replace")
    kept = [line.strip() for line in text.splitlines() if line.strip()][-lines:]
    clean = "\n".join("".join(char if char.isprintable() else "?" for char in line) for line in kept)
    return clean[-size:]


def new_version(stdout: bytes) -> str:
    """Return `new_version` of the last line of standard output that is a JSON object with that key, or ""."""
    for line in reversed(stdout.splitlines()):
        if b"new_version" not in line:
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and isinstance(value.get("new_version"), str):
            return str(value["new_version"])[:VERSION_MAX]
    return ""
