"""`test rules`: unit tests for rules, in promtool's format."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.options import app, require_writable
from bridge.cli.output import echo, echo_lines
from bridge.cli.usage import Commands

if TYPE_CHECKING:
    from bridge.authoring.unit_tests.runner import Outcome

test_app = Commands(no_args_is_help=True, help="Test rules before you deploy them.")
app.add_typer(test_app, name="test")


@test_app.command("rules", short_help="Run unit tests for rules.")
def run_rule_tests(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Unit-test files in promtool's format.")],
    run: Annotated[
        str,
        typer.Option(
            "--run", metavar="REGEX", help="Run only tests whose name contains a match of this regular expression."
        ),
    ] = "",
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results to this file as JUnit XML.")
    ] = None,
    binary: Annotated[
        str, typer.Option("--prometheus.binary", metavar="FILE", help="Prometheus binary that evaluates PromQL.")
    ] = "",
    config_file: Annotated[
        Path | None,
        typer.Option("--config.file", metavar="FILE", help="bridge.yml whose `models` map series labels to models."),
    ] = None,
) -> None:
    """Run unit tests for rules, with a temporary Prometheus and the live engine. Exits 1 if a test fails."""
    from bridge.authoring.unit_tests import runner
    from bridge.authoring.unit_tests.file import read_unit_test_files
    from bridge.authoring.unit_tests.junit import junit as as_junit
    from bridge.authoring.unit_tests.temporary_prometheus import find_binary
    from bridge.config.load import load
    from bridge.domain.regex import Regex

    require_writable({"--junit": junit})
    try:
        pattern = Regex(f"(?s:.*)(?:{run})(?s:.*)") if run else None
    except ValueError as error:
        raise typer.BadParameter(f"--run: {error}") from None
    outcomes = []
    models = load(config_file).models if config_file is not None else None
    running = runner.run(read_unit_test_files(files), find_binary(binary), pattern, models)
    with _exit_on_sigterm(), contextlib.closing(running):
        for outcome in running:
            outcomes.append(outcome)
            _print(outcome)
    if junit is not None:
        junit.write_bytes(as_junit(outcomes))
    if not outcomes:
        echo(f"no test matches {run!r}" if run else "no tests ran")
    if not outcomes or not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


def _print(outcome: Outcome) -> None:
    echo(f"{outcome.file}: {outcome.name}: {'SUCCESS' if outcome.passed else 'FAILED'}")
    if outcome.error:
        echo_lines(f"  {outcome.error}")
    for note in outcome.notes:
        echo_lines(f"  note: {note}")
    for failure in outcome.failures:
        echo_lines(f"  {outcome.file}:{failure.line}: {failure.text}")


@contextlib.contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that the temporary Prometheus is stopped as with Ctrl-C."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
