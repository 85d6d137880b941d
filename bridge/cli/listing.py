"""Listings: plain columns that are never cut, on a terminal and in a pipe, or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from bridge.cli.output import echo, echo_lines
from bridge.domain.printable import printable

Output = Annotated[
    Literal["table", "wide", "json"],
    typer.Option("--output", "-o", help="Columns, more columns, or everything as JSON."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, metavar="NUMBER", help="Maximum number of entries.")]
Row = Mapping[str, Any]


def print_listing(
    entries: Sequence[Any], rows: Sequence[Row], columns: Sequence[str], wide: Sequence[str], output: str, none: str
) -> None:
    """Print a listing.

    entries: what JSON output contains.
    rows: cells by column, in the same order.
    columns, wide: columns of a table, and those that `wide` adds.
    none: text for an empty table.
    """
    import json

    if output == "json":
        echo_lines(json.dumps(entries, indent=2))
    elif not rows:
        echo(none)
    else:
        names = [*columns, *(wide if output == "wide" else ())]
        for line in _aligned(
            [[name.upper() for name in names], *([_text(row[name]) for name in names] for row in rows)]
        ):
            echo(line)


def _text(value: object) -> str:
    return printable("-" if value is None or value == "" else value)


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
