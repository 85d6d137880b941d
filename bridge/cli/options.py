"""What the commands share: the top of the command line, options, and how problems are printed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.saying import warn
from bridge.domain.errors import Problem
from bridge.domain.times import parse_duration

DEFAULT_URL = "http://127.0.0.1:9095"

app = typer.Typer(
    name="retrain-bridge", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="From a bad metric in Prometheus to one durable, explained request to retrain the right model.",
)  # fmt: skip

ConfigFile = Annotated[Path, typer.Option("--config.file", help="The configuration, bridge.yml.")]
LogLevel = Annotated[str, typer.Option("--log.level", help="debug, info, warn or error.")]
LogFormat = Annotated[str, typer.Option("--log.format", help="logfmt or json.")]
AllowedHosts = Annotated[
    list[str] | None, typer.Option("--web.allowed-host", help="A host name to be called by; may be repeated.")
]
HttpConfigFile = Annotated[
    Path | None, typer.Option("--http.config.file", help="How to reach it: a file with one http_config.")
]
BridgeUrl = Annotated[str, typer.Option("--bridge.url", help="Where the running bridge listens.")]


def duration(text: str) -> int:
    """A length of time in milliseconds, for typer."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def positive_duration(text: str) -> int:
    """A length of time that is more than nothing."""
    found = duration(text)
    if found <= 0:
        raise typer.BadParameter("must be more than 0, for example 90d")
    return found


def print_problems(problems: Iterable[Problem]) -> None:
    """Every problem, and how many, to stderr."""
    problems = list(problems)
    for problem in problems:
        warn(problem)
    if problems:
        warn(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found")
