"""Listings: plain columns that are never cut, on a terminal and in a pipe, or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from bridge.cli.options import instant
from bridge.cli.output import echo, echo_lines, warn
from bridge.domain.printable import printable

Output = Annotated[
    Literal["table", "wide", "json", "csv"],
    typer.Option("--output", "-o", help="Columns, more columns, everything as JSON, or all columns as CSV."),
]
From = Annotated[
    str, typer.Option("--from", metavar="TIME", help="Only since this time: RFC 3339, Unix seconds, or now-7d.")
]
To = Annotated[str, typer.Option("--to", metavar="TIME", help="Only until this time; default: now.")]
Row = Mapping[str, Any]
MOST = 10_000  # entries of a listing


def _entries(text: str) -> int:
    """Parse a number of entries, for typer. Raises BadParameter."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= MOST:
        raise typer.BadParameter(f"must be a whole number from 1 to {MOST}, not {text!r}")
    return number


Limit = Annotated[
    int,
    typer.Option("--limit", parser=_entries, metavar="NUMBER", help=f"Maximum number of entries, at most {MOST}."),
]


def period(since: str, until: str) -> dict[str, str]:
    """Return the parameters of the API for a period of the command line. Raises BadParameter."""
    found = {"since": instant("--from", since), "until": instant("--to", until)}
    if found["until"] and found["since"] > found["until"]:
        raise typer.BadParameter("--from must be before --to")
    return found


def print_listing(
    entries: Sequence[Any], rows: Sequence[Row], columns: Sequence[str], wide: Sequence[str], output: str, none: str
) -> None:
    """Print a listing; CSV has the columns of `wide`.

    entries: what JSON output contains.
    rows: cells by column, in the same order.
    columns, wide: columns of a table, and those that `wide` adds.
    none: text for an empty table.
    """
    import json

    if output == "json":
        echo_lines(json.dumps(entries, indent=2))
    elif output == "csv":
        _print_csv([*columns, *wide], rows)
    elif not rows:
        echo(none)
    else:
        names = [*columns, *(wide if output == "wide" else ())]
        for line in aligned(
            [[name.upper() for name in names], *([_text(row[name]) for name in names] for row in rows)]
        ):
            echo(line)


def warn_of_more(what: str, count: int, following: object) -> None:
    """Say on standard error that older entries match, too. following: start of the next page, None without one."""
    if following is not None:
        warn(f"only the latest {count} {what} are listed; --limit lists up to {MOST}")


def _print_csv(columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Print the rows as CSV; line breaks and quotes in a cell are quoted, and an empty cell stays empty."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: printable("" if row[name] is None else row[name]) for name in columns} for row in rows)
    echo_lines(text.getvalue())


def _text(value: object) -> str:
    return printable("-" if value is None or value == "" else value)


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return the cells of each line as columns, without trailing spaces."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
