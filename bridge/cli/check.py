"""`check config`, `check rules` and `check schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from bridge.cli.options import app
from bridge.cli.output import echo, echo_lines, warn
from bridge.domain.errors import Problem

check_app = typer.Typer(no_args_is_help=True, help="Check files without running anything.")
app.add_typer(check_app, name="check")


Lint = Annotated[
    Literal["all", "none", "fatal"],
    typer.Option("--lint", help="Lint warnings: report all, report none, or treat them as errors (fatal)."),
]
Output = Annotated[Literal["text", "json"], typer.Option("--output", help="Output format.")]


@check_app.command("config")
def check_config_command(
    files: Annotated[list[Path], typer.Argument(help="Configuration files.")],
    ask_prometheus: Annotated[
        bool, typer.Option("--ask-prometheus", help="Also run every expression once on the configured Prometheus.")
    ] = False,
    lint: Lint = "all",
    output: Output = "text",
) -> None:
    """Check bridge.yml and every rule file it references."""
    problems = [problem for file in files for problem in _config_problems(file, ask_prometheus, lint != "none")]
    _report(files, problems, lint, output)


def _config_problems(file: Path, ask_prometheus: bool, lint: bool) -> list[Problem]:
    """Return the errors of a configuration; if there are none, its warnings and the results from Prometheus."""
    from bridge.authoring.check.check import check_config, doubts_of_config

    if errors := check_config(file):
        return errors
    problems = doubts_of_config(file) if lint else []
    if ask_prometheus:
        from bridge.app import clock
        from bridge.authoring.check import online, online_lint

        problems += online.ask_prometheus(file, clock.now(), online_lint.doubts if lint else None)
    return problems


@check_app.command("rules")
def check_rules_command(
    files: Annotated[list[Path], typer.Argument(help="Rule files.")], lint: Lint = "all", output: Output = "text"
) -> None:
    """Check rule files without a configuration."""
    from bridge.authoring.check.check import check_rules, doubts_of_rules

    problems = check_rules(files)
    if not problems and lint != "none":
        problems = doubts_of_rules(files)
    _report(files, problems, lint, output)


@check_app.command("schema")
def check_schema(
    kind: Annotated[Literal["config", "rules", "tests"], typer.Argument(help="Kind of file: config, rules or tests.")],
) -> None:
    """Print the JSON Schema of one kind of file, for editors."""
    from bridge.authoring.check.schema import schema

    echo_lines(json.dumps(schema(kind), indent=2))


def _report(files: list[Path], problems: list[Problem], lint: str, output: str) -> None:
    """Print the problems; exit 1 for errors, and for warnings if they are fatal."""
    reported = [problem for problem in problems if not problem.lint or lint != "none"]
    errors = [problem for problem in reported if not problem.lint or (lint == "fatal" and not problem.is_note)]
    if output == "json":
        echo(json.dumps({"files": [str(file) for file in files], "problems": [_as_json(item) for item in reported]}))
    else:
        for problem in reported:
            warn(problem)
        counted = [problem for problem in reported if not problem.is_note]
        if counted:
            warn(_summary(counted))
        if not errors:
            for file in files:
                echo(f"{file}: SUCCESS")
    if errors:
        raise typer.Exit(1)


def _severity(problem: Problem) -> str:
    if problem.is_note:
        return "note"
    return "warning" if problem.lint else "error"


def _as_json(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file, "line": problem.line, "path": problem.path, "message": problem.message,
        "hint": problem.hint, "severity": _severity(problem), "lint": problem.lint,
    }  # fmt: skip


def _summary(problems: list[Problem]) -> str:
    errors = len([problem for problem in problems if not problem.lint])
    warnings = len(problems) - errors
    parts = [f"{errors} problem{'s' if errors != 1 else ''}"] if errors or not warnings else []
    parts += [f"{warnings} warning{'s' if warnings != 1 else ''}"] if warnings else []
    return f"{' and '.join(parts)} found"
