"""`test rules`: promtool's unit tests for our rules."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.options import app
from bridge.cli.saying import say, say_lines

if TYPE_CHECKING:
    from bridge.authoring.unit_tests.runner import Outcome

test_app = typer.Typer(no_args_is_help=True, help="Test rules before they act.")
app.add_typer(test_app, name="test")


@test_app.command("rules")
def run_rule_tests(
    files: Annotated[list[Path], typer.Argument(help="Unit-test files, as promtool takes them.")],
    run: Annotated[str, typer.Option("--run", help="Only tests whose name this regular expression finds.")] = "",
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the outcome as JUnit XML.")] = None,
    binary: Annotated[str, typer.Option("--prometheus.binary", help="The prometheus that evaluates PromQL.")] = "",
) -> None:
    """Samples go into a fresh Prometheus, rules through the live engine; exit 1 when something is not as expected."""
    from bridge.authoring.unit_tests import runner
    from bridge.authoring.unit_tests.file import read_unit_test_files
    from bridge.authoring.unit_tests.junit import junit as as_junit
    from bridge.authoring.unit_tests.temporary_prometheus import find_binary
    from bridge.domain.regex import Regex

    try:
        wanted = Regex(f"(?s:.*)(?:{run})(?s:.*)") if run else None
    except ValueError as error:
        raise typer.BadParameter(f"--run: {error}") from None
    outcomes = []
    running = runner.run(read_unit_test_files(files), find_binary(binary), wanted)
    with _ended_in_order(), contextlib.closing(running):
        for outcome in running:
            outcomes.append(outcome)
            _say(outcome)
    if junit is not None:
        junit.write_bytes(as_junit(outcomes))
    if not outcomes:
        say("no test was run")
    if not outcomes or not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


def _say(outcome: Outcome) -> None:
    say(f"{outcome.file}: {outcome.name}: {'SUCCESS' if outcome.passed else 'FAILED'}")
    if outcome.error:
        say_lines(f"  {outcome.error}")
    for failure in outcome.failures:
        say_lines(f"  {outcome.file}:{failure.line}: {failure.text}")


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """A SIGTERM ends the Prometheus of the test too, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
