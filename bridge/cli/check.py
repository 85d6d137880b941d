"""`check config`, `check rules` and `check schema`."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import typer

from bridge.cli.options import app
from bridge.cli.output import echo, echo_lines, warn, warn_of_silence
from bridge.cli.usage import Commands
from bridge.domain.errors import Problem

check_app = Commands(no_args_is_help=True, help="Check files without running anything.")
app.add_typer(check_app, name="check")


Lint = Annotated[
    Literal["all", "none", "fatal"],
    typer.Option("--lint", help="Lint warnings: report all, report none, or treat them as errors (fatal)."),
]
Output = Annotated[
    Literal["text", "json", "github"],
    typer.Option("--output", help="Output format; github: annotations of a workflow run on GitHub."),
]


@check_app.command("config")
def check_config_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Configuration files.")],
    ask_prometheus: Annotated[
        bool, typer.Option("--ask-prometheus", help="Also run every expression once on the configured Prometheus.")
    ] = False,
    ask_receivers: Annotated[
        bool,
        typer.Option(
            "--ask-receivers",
            help="Also test targets and credentials of run_configs; nothing is started.",
        ),
    ] = False,
    lint: Lint = "all",
    output: Output = "text",
) -> None:
    """Check bridge.yml and every rule file it references."""
    problems = [problem for file in files for problem in _config_problems(file, ask_prometheus, lint != "none")]
    if ask_receivers:
        problems += [problem for file in files for problem in _receiver_problems(file)]
    _report(files, problems, lint, output)


def _config_problems(file: Path, ask_prometheus: bool, lint: bool) -> list[Problem]:
    """Return errors and warnings of a configuration; if it can be loaded, the results from Prometheus too."""
    from bridge.app import clock
    from bridge.authoring.check import online, online_lint
    from bridge.authoring.check.check import check_config
    from bridge.domain.errors import ConfigError

    if ask_prometheus:
        with suppress(ConfigError):
            answers = online.ask_prometheus(file, clock.now(), online_lint.doubts if lint else None, warn_of_silence)
            return sorted([*check_config(file, lint=lint, parse=False), *answers])
    return check_config(file, lint=lint)


def _receiver_problems(file: Path) -> list[Problem]:
    """Return what is wrong with the receivers of a configuration that can be loaded."""
    from bridge.app import clock
    from bridge.authoring.check.receivers import ask_receivers
    from bridge.domain.errors import ConfigError

    with suppress(ConfigError):
        return ask_receivers(file, clock.now())
    return []


@check_app.command("rules")
def check_rules_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Rule files.")],
    flavor: Annotated[
        Literal["prometheus", "thanos", "mimir", "victoriametrics", "amazon", "google", "azure", "grafana_cloud"],
        typer.Option("--prometheus.flavor", help="Server that evaluates the rules: the value of prometheus.flavor."),
    ] = "prometheus",
    lint: Lint = "all",
    output: Output = "text",
) -> None:
    """Check rule files without a configuration."""
    from bridge.authoring.check.check import check_rules

    _report(files, check_rules(files, lint=lint != "none", flavor=flavor), lint, output)


@check_app.command("schema")
def check_schema(
    kind: Annotated[
        Literal["config", "rules", "tests"],
        typer.Argument(metavar="KIND", help="Kind of file: config, rules or tests."),
    ],
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
    elif output == "github":
        for problem in reported:
            echo(_annotation(problem))
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
        "file": problem.file, "line": problem.line, "column": problem.column, "path": problem.path,
        "message": problem.message, "hint": problem.hint, "severity": _severity(problem), "lint": problem.lint,
    }  # fmt: skip


def _annotation(problem: Problem) -> str:
    """Return a workflow command of GitHub Actions: an annotation of the file in a pull request."""
    kind = {"note": "notice"}.get(_severity(problem), _severity(problem))
    spot = {"file": problem.file, "line": problem.line, "col": problem.column, "title": problem.lint or problem.path}
    given = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in spot.items() if value)
    text = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return f"::{kind} {given}::{_escaped(text + (f' ({problem.hint})' if problem.hint else ''))}"


def _escaped(text: str, more: str = "") -> str:
    """Return text as a workflow command has it: % and line ends as %XX, in a property `more` too."""
    for char in f"%\r\n{more}":
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _summary(problems: list[Problem]) -> str:
    errors = len([problem for problem in problems if not problem.lint])
    warnings = len(problems) - errors
    parts = [f"{errors} problem{'s' if errors != 1 else ''}"] if errors or not warnings else []
    parts += [f"{warnings} warning{'s' if warnings != 1 else ''}"] if warnings else []
    return f"{' and '.join(parts)} found"
