"""Terminal output of all commands, with control characters of untrusted text escaped."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from bridge.domain.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.text import Text

    from bridge.domain.errors import SourceError


def echo(line: object = "", to: TextIO | None = None) -> None:
    """Print one line to standard output, or to `to`."""
    out = sys.stdout if to is None else to
    out.write(printable(line) + "\n")
    out.flush()


def echo_lines(text: object, to: TextIO | None = None) -> None:
    """Print a text of several lines."""
    for line in str(text).removesuffix("\n").split("\n"):
        echo(line, to)


def warn(line: object) -> None:
    """Print one line to standard error."""
    echo(line, sys.stderr)


def warn_of_query(failure: SourceError, follows: str) -> None:
    """Print a failed query to standard error. follows: what the command does next."""
    warn(f"query failed, {follows}: {failure}")


def warn_of_silence(failure: SourceError, _follows: str) -> None:
    """Print a query without an answer in time; the command itself reports what fails at once."""
    if failure.reason == "timeout":
        warn(f"query failed: {failure}")


def write_file(path: Path, text: str) -> None:
    """Write a file. Raises OSError, which names the file also if the disk is full."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


class CommandLog(logging.Handler):
    """Handler that prints warnings of a command to standard error, with their fields. quiet: print none."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.quiet = False

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record as one line of logfmt, as the bridge does."""
        if self.quiet:
            return
        from bridge.app.logs import formatter

        if self.formatter is None:
            self.setFormatter(formatter("logfmt"))
        warn(self.format(record))


_LOG = CommandLog()


def log_to_stderr(*, quiet: bool = False) -> None:
    """Print what the package logs while a command runs, unless the command itself reports it (`quiet`)."""
    _LOG.quiet = quiet
    logger = logging.getLogger("bridge")
    if _LOG not in logger.handlers:
        logger.addHandler(_LOG)


def cells(row: Iterable[object]) -> list[Text]:
    """Return the cells of one row of a rich table."""
    from rich.text import Text

    return [Text(printable(cell)) for cell in row]
