"""Shared parts of the commands: the application, common options, and printing of problems."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from bridge import __version__
from bridge.cli.output import echo, log_to_stderr, warn
from bridge.cli.quick import URL_VARIABLE
from bridge.cli.usage import Commands
from bridge.domain.errors import Problem
from bridge.domain.times import parse_duration

app = Commands(
    name="retrain-bridge", no_args_is_help=True, pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich takes longer to import than the rest
    context_settings={"max_content_width": 120, "help_option_names": ["-h", "--help"]},
    help="Watch ML models through Prometheus, and request retraining when one degrades: one durable request, with its "
    "reason.",
)  # fmt: skip

ConfigFile = Annotated[Path, typer.Option("--config.file", metavar="FILE", help="Configuration file (bridge.yml).")]
LogLevel = Annotated[str, typer.Option("--log.level", metavar="LEVEL", help="Log level: debug, info, warn or error.")]
LogFormat = Annotated[str, typer.Option("--log.format", metavar="FORMAT", help="Log format: logfmt or json.")]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option("--web.allowed-host", metavar="NAME", help="Additional host name that clients may use; repeatable."),
]
HttpConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--http.config.file", metavar="FILE", help="File with an http_config for the connection (credentials, TLS)."
    ),
]
BridgeUrl = Annotated[
    str, typer.Option("--bridge.url", metavar="URL", envvar=URL_VARIABLE, help="URL of the running bridge.")
]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Reason to record with the action.")]
By = Annotated[
    str, typer.Option("--by", metavar="NAME", help="Name to record with the action, if the bridge has no login.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"retrain-bridge {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Accept the options before the command, and print what it logs."""
    del version  # its callback has printed it
    log_to_stderr()


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


def require_writable(files: Mapping[str, Path | None]) -> None:
    """Check that files can be written, before the work that fills them. files: by flag. Raises BadParameter."""
    for flag, file in files.items():
        if file is None:
            continue
        if file.is_dir():
            raise typer.BadParameter(f"{flag}: {file} is a folder; name a file")
        if not file.parent.is_dir():
            raise typer.BadParameter(f"{flag}: there is no folder {file.parent}")
        if not os.access(file if file.exists() else file.parent, os.W_OK):
            raise typer.BadParameter(f"{flag}: no permission to write {file}")


def instant(flag: str, text: str) -> str:
    """Return a time of the command line as RFC 3339, "" for none. Raises BadParameter."""
    from bridge.app import clock
    from bridge.authoring.backtest.time_argument import parse_time
    from bridge.domain.times import rfc3339

    try:
        return rfc3339(parse_time(text, clock.now())) if text else ""
    except ValueError as error:
        raise typer.BadParameter(f"{flag}: {error}") from None


InspectedUrl = Annotated[
    str, typer.Option("--prometheus", "--prometheus.url", metavar="URL", help="Prometheus server to inspect.")
]
ProjectLabel = Annotated[
    str,
    typer.Option("--project", metavar="LABEL", help="Label that holds the project; replaces the packs' fixed one."),
]
Lookback = Annotated[
    int,
    typer.Option(
        "--lookback",
        parser=positive_duration,
        metavar="DURATION",
        help="Consider metrics seen in this period before now.",
    ),
]


def print_problems(problems: Iterable[Problem]) -> None:
    """Print every problem, and their number, to stderr."""
    problems = list(problems)
    for problem in problems:
        warn(problem)
    if problems:
        warn(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found")


def length_of_time(text: str) -> str:
    """Return the length of a pause or silence as it was given. Raises BadParameter if the bridge would refuse it."""
    from bridge.web.api.pauses import parse_length

    try:
        length = parse_length(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not length:
        raise typer.BadParameter("must be greater than 0, for example 1h")
    return text
