"""Log handler that counts repeated lines instead of writing them."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

ALLOWED = 10  # times that a line is written within PERIOD; further ones are counted
PERIOD = 60.0  # seconds
_MOST = 1000  # distinct lines tracked at a time
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")
STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@dataclass(slots=True)
class _Line:
    """Log line: when it was first written, how often it occurred since, and its last record."""

    since: float
    times: int
    last: logging.LogRecord


class CountingHandler(logging.StreamHandler):  # type: ignore[type-arg]  # generic only for type checkers
    """Handler that writes a line up to ALLOWED times within PERIOD, then once more with the number of repeats.

    Lines of the bridge are equal if their text and all fields are; those of libraries, if they differ only in numbers.
    The count is written with the first line after the period, and on close.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[tuple[str, ...], _Line] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, or count it."""
        self._write_counts(record.created - PERIOD)
        line = self._lines.setdefault(_key(record), _Line(record.created, 0, record))
        line.times, line.last = line.times + 1, record
        if line.times <= ALLOWED:
            super().emit(record)
        if len(self._lines) > _MOST:
            self._write_counts(record.created)

    def close(self) -> None:
        """Write the outstanding counts."""
        self.acquire()
        try:
            self._write_counts(float("inf"))
        finally:
            self.release()
        super().close()

    def _write_counts(self, until: float) -> None:
        """Write and drop the lines first seen by then; the dict is in the order in which they were first seen."""
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
    fields = [f"{name}={value!r}" for name, value in vars(record).items() if name not in STANDARD_FIELDS]
    return (record.name, record.levelname, text, error, *fields)


def _counted(line: _Line) -> logging.LogRecord:
    counted = logging.makeLogRecord(vars(line.last))
    more = line.times - ALLOWED
    counted.msg, counted.args = f"{line.last.getMessage()} (repeated {more} times)", None
    counted.exc_info = counted.exc_text = None
    return counted
