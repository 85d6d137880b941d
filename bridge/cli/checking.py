"""`check config` and `check rules`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import app, print_problems
from bridge.domain.errors import Problem

check_app = typer.Typer(no_args_is_help=True, help="Check files without running anything.")
app.add_typer(check_app, name="check")


@check_app.command("config")
def check_config_command(
    files: Annotated[list[Path], typer.Argument(help="Configuration files.")],
    ask_prometheus: Annotated[
        bool, typer.Option("--ask-prometheus", help="Ask the configured Prometheus every expression once, too.")
    ] = False,
) -> None:
    """Check bridge.yml and every rule file that it names."""
    from bridge.authoring.check import check_config

    problems = [problem for file in files for problem in check_config(file)]
    if ask_prometheus and not problems:
        from bridge.app import clock
        from bridge.authoring import online

        problems = [problem for file in files for problem in online.ask_prometheus(file, clock.now())]
    _report(files, problems)


@check_app.command("rules")
def check_rules_command(files: Annotated[list[Path], typer.Argument(help="Rule files.")]) -> None:
    """Check rule files by themselves."""
    from bridge.authoring.check import check_rules

    _report(files, check_rules(files))


def _report(files: list[Path], problems: list[Problem]) -> None:
    print_problems(problems)
    if problems:
        raise typer.Exit(1)
    for file in files:
        print(f"{file}: SUCCESS")
