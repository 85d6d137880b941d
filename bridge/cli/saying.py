"""The one way in which commands print: what others wrote cannot drive the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from bridge.domain.printable import printable

if TYPE_CHECKING:
    from rich.text import Text


def say(line: object = "", to: TextIO | None = None) -> None:
    """Print one line to standard output, or to `to`."""
    out = sys.stdout if to is None else to
    out.write(printable(line) + "\n")
    out.flush()


def say_lines(text: object, to: TextIO | None = None) -> None:
    """Print a text that has lines of its own."""
    for line in str(text).removesuffix("\n").split("\n"):
        say(line, to)


def warn(line: object) -> None:
    """Print one line to standard error."""
    say(line, sys.stderr)


def cells(row: Iterable[object]) -> list[Text]:
    """Return the cells of one row of a table of rich's."""
    from rich.text import Text

    return [Text(printable(cell)) for cell in row]
