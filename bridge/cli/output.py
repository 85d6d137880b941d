"""Terminal output of all commands, with control characters of untrusted text escaped."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from bridge.domain.printable import printable

if TYPE_CHECKING:
    from rich.text import Text


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


def cells(row: Iterable[object]) -> list[Text]:
    """Return the cells of one row of a rich table."""
    from rich.text import Text

    return [Text(printable(cell)) for cell in row]
