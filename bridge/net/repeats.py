"""A log that counts what repeats instead of writing it."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

ALLOWED = 10  # of one line, within PERIOD; the rest is counted
PERIOD = 60.0  # seconds
_MOST = 1000  # lines that are remembered
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@dataclass(slots=True)
class _Line:
    """A line, when it was first written, and how often it came since."""

    since: float
    times: int
    last: logging.LogRecord


class CountingHandler(logging.StreamHandler):  # type: ignore[type-arg]  # generic only for type checkers
    """Writes a line ALLOWED times within PERIOD; after that, once more: how often it was repeated.

    Lines of ours are the same when their text and all their fields are; those of libraries, when they differ only in
    numbers. The count is written with the next line that comes after the period, and at the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[tuple[str, ...], _Line] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write or count."""
        self._write_counts(record.created - PERIOD)
        line = self._lines.setdefault(_key(record), _Line(record.created, 0, record))
        line.times, line.last = line.times + 1, record
        if line.times <= ALLOWED:
            super().emit(record)
        if len(self._lines) > _MOST:
            self._write_counts(record.created)

    def close(self) -> None:
        """Write the counts that are left."""
        self.acquire()
        try:
            self._write_counts(float("inf"))
        finally:
            self.release()
        super().close()

    def _write_counts(self, until: float) -> None:
        """Forget the lines that began until then; they stand in the order in which they began."""
        while self._lines:
            key, line = next(iter(self._lines.items()))
            if line.since > until:
                return
            del self._lines[key]
            if line.times > ALLOWED:
                super().emit(_counted(line))


def _key(record: logging.LogRecord) -> tuple[str, ...]:
    text, error = record.getMessage(), repr(record.exc_info[1]) if record.exc_info else ""
    if not record.name.startswith("bridge"):
        text, error = _NUMBER.sub("#", text), _NUMBER.sub("#", error)
    fields = [f"{name}={value!r}" for name, value in vars(record).items() if name not in _PLAIN]
    return (record.name, record.levelname, text, error, *fields)


def _counted(line: _Line) -> logging.LogRecord:
    counted = logging.makeLogRecord(vars(line.last))
    more = line.times - ALLOWED
    counted.msg, counted.args = f"{line.last.getMessage()} (repeated {more} times)", None
    counted.exc_info = counted.exc_text = None
    return counted
