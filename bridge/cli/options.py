"""Shared parts of the commands: the application, common options, and printing of problems."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.output import warn
from bridge.domain.errors import Problem
from bridge.domain.times import parse_duration

app = typer.Typer(
    name="retrain-bridge", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode=None, context_settings={"max_content_width": 120},  # rich takes longer to import than the rest
    help="From a bad metric in Prometheus to one durable, explained request to retrain the right model.",
)  # fmt: skip

ConfigFile = Annotated[Path, typer.Option("--config.file", help="Configuration file (bridge.yml).")]
LogLevel = Annotated[str, typer.Option("--log.level", help="Log level: debug, info, warn or error.")]
LogFormat = Annotated[str, typer.Option("--log.format", help="Log format: logfmt or json.")]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option("--web.allowed-host", help="Additional host name that clients may use; repeatable."),
]
HttpConfigFile = Annotated[
    Path | None, typer.Option("--http.config.file", help="File with an http_config for the connection (users, TLS).")
]
BridgeUrl = Annotated[str, typer.Option("--bridge.url", help="URL of the running bridge.")]


def duration(text: str) -> int:
    """Parse a duration into milliseconds, for typer. Raises BadParameter."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def positive_duration(text: str) -> int:
    """Parse a duration greater than zero into milliseconds, for typer. Raises BadParameter."""
    length = duration(text)
    if length <= 0:
        raise typer.BadParameter("must be greater than 0, for example 90d")
    return length


def print_problems(problems: Iterable[Problem]) -> None:
    """Print every problem, and their number, to stderr."""
    problems = list(problems)
    for problem in problems:
        warn(problem)
    if problems:
        warn(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found")
