"""`check config` and `check rules`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from bridge.cli.options import app
from bridge.cli.saying import say, say_lines, warn
from bridge.domain.errors import RECORDINGS, Problem

check_app = typer.Typer(no_args_is_help=True, help="Check files without running anything.")
app.add_typer(check_app, name="check")


Lint = Annotated[
    Literal["all", "none", "fatal"],
    typer.Option("--lint", help="Doubts: all are told, none is, or they are fatal like errors."),
]
Output = Annotated[Literal["text", "json"], typer.Option("--output", help="For people or for machines.")]


@check_app.command("config")
def check_config_command(
    files: Annotated[list[Path], typer.Argument(help="Configuration files.")],
    ask_prometheus: Annotated[
        bool, typer.Option("--ask-prometheus", help="Ask the configured Prometheus every expression once, too.")
    ] = False,
    lint: Lint = "all",
    output: Output = "text",
) -> None:
    """Check bridge.yml and every rule file that it names."""
    problems = [problem for file in files for problem in _of_config(file, ask_prometheus, lint != "none")]
    _report(files, problems, lint, output)


def _of_config(file: Path, ask_prometheus: bool, doubt: bool) -> list[Problem]:
    """Its errors; without any its doubts, and what its Prometheus says."""
    from bridge.authoring.check.check import check_config, doubts_of_config

    if errors := check_config(file):
        return errors
    problems = doubts_of_config(file) if doubt else []
    if ask_prometheus:
        from bridge.app import clock
        from bridge.authoring.check import online, online_lint

        problems += online.ask_prometheus(file, clock.now(), online_lint.doubts if doubt else None)
    return problems


@check_app.command("rules")
def check_rules_command(
    files: Annotated[list[Path], typer.Argument(help="Rule files.")], lint: Lint = "all", output: Output = "text"
) -> None:
    """Check rule files by themselves."""
    from bridge.authoring.check.check import check_rules, doubts_of_rules

    problems = check_rules(files)
    if not problems and lint != "none":
        problems = doubts_of_rules(files)
    _report(files, problems, lint, output)


@check_app.command("schema")
def check_schema(
    kind: Annotated[Literal["config", "rules", "tests"], typer.Argument(help="config, rules or tests.")],
) -> None:
    """Print the JSON Schema of a kind of file, for editors."""
    from bridge.authoring.check.schema import schema

    say_lines(json.dumps(schema(kind), indent=2))


def _report(files: list[Path], problems: list[Problem], lint: str, output: str) -> None:
    """Exit 1 for errors, and for doubts when they are fatal."""
    told = [problem for problem in problems if not problem.lint or lint != "none"]
    errors = [problem for problem in told if not problem.lint or (lint == "fatal" and problem.lint != RECORDINGS)]
    if output == "json":
        say(json.dumps({"files": [str(file) for file in files], "problems": [_as_json(item) for item in told]}))
    else:
        for problem in told:
            warn(problem)
        counted = [problem for problem in told if problem.lint != RECORDINGS]
        if counted:
            warn(_counted(counted))
        for file in files if not errors else ():
            say(f"{file}: SUCCESS")
    if errors:
        raise typer.Exit(1)


def _severity(problem: Problem) -> str:
    if problem.lint == RECORDINGS:
        return "note"
    return "warning" if problem.lint else "error"


def _as_json(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file, "line": problem.line, "path": problem.path, "message": problem.message,
        "hint": problem.hint, "severity": _severity(problem), "lint": problem.lint,
    }  # fmt: skip


def _counted(problems: list[Problem]) -> str:
    errors = sum(not problem.lint for problem in problems)
    doubts = len(problems) - errors
    parts = [f"{errors} problem{'s' if errors != 1 else ''}"] if errors or not doubts else []
    parts += [f"{doubts} warning{'s' if doubts != 1 else ''}"] if doubts else []
    return f"{' and '.join(parts)} found"
