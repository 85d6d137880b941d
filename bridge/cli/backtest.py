"""`backtest`: rules over history."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.options import app, duration

if TYPE_CHECKING:
    from bridge.authoring.backtest import Plan
    from bridge.authoring.results import Results
    from bridge.authoring.scoring import Score

COLUMNS = {
    "rule": "rule", "kind": "kind", "fired": "fired", "requests": "requests", "joined": "joined", "held": "never sent",
    "models": "models", "per_week": "requests a week", "failed": "slots not judged",
}  # fmt: skip
SCORES = {
    "name": "scored by the labels", "windows": "windows", "detected": "detected", "false_alarms": "false alarms",
    "false_alarms_per_model_week": "a model-week", "median_delay": "median delay",
}  # fmt: skip


@app.command()
def backtest(
    since: Annotated[str, typer.Option("--from", help="RFC 3339, unix seconds, or now-30d.")],
    until: Annotated[str, typer.Option("--to", help="RFC 3339, unix seconds, now or now-1d.")] = "now",
    config_file: Annotated[Path | None, typer.Option("--config.file", help="The configuration, bridge.yml.")] = None,
    rules: Annotated[list[Path] | None, typer.Option("--rules", help="A rule file by itself; may be repeated.")] = None,
    url: Annotated[str, typer.Option("--prometheus.url", help="The server to ask; with --rules required.")] = "",
    step: Annotated[
        int | None, typer.Option("--step", parser=duration, help="Instead of the groups' intervals.")
    ] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="Labelled windows to score the requests by.")] = None,
    decisions: Annotated[Path | None, typer.Option("--decisions", help="Requests as JSON lines go there.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="All results as JSON go there.")] = None,
) -> None:
    """Evaluate rules over history, by the live engine with all its gates. Nothing is sent."""
    from bridge.app import clock
    from bridge.authoring.backtest import Backtest
    from bridge.authoring.scoring import read_labels, scores
    from bridge.domain.model import ModelTable

    plan = _plan(config_file, rules or [], url, step)
    labelled = [] if labels is None else read_labels(labels)
    now = clock.now()
    begins, ends = _instant(since, now, "--from"), _instant(until, now, "--to")
    if begins >= ends:
        raise typer.BadParameter("--from must be before --to")
    table = ModelTable()
    source = plan.source(table)
    try:
        with _progress(begins, ends) as progress:
            results = Backtest(plan, source, table, begins, ends).run(progress)
    finally:
        source.close()
    found = scores(labelled, results) if labelled else {}
    if decisions is not None:
        _write_lines(decisions, results)
    if json_file is not None:
        _write_json(json_file, results, found)
    print_table(list(results.rows()), COLUMNS)
    if found:
        print_table([{"name": name, **scored.shown()} for name, scored in found.items()], SCORES)
    for rule, message in results.errors.items():
        print(f"{rule}: {results.rules[rule].failed} slots could not be judged; the last: {message}", file=sys.stderr)


def _plan(config_file: Path | None, rules: list[Path], url: str, step: int | None) -> Plan:
    from bridge.authoring.backtest import of_config, of_rules

    if bool(rules) == (config_file is not None):
        raise typer.BadParameter("give --config.file, or --rules with --prometheus.url")
    if rules and not url:
        raise typer.BadParameter("--rules needs --prometheus.url")
    plan = of_rules(rules, url) if config_file is None else of_config(config_file, url)
    if step is not None and step <= 0:
        raise typer.BadParameter("--step must be more than 0")
    return plan if step is None else plan.at_step(step)


def _instant(text: str, now: int, flag: str) -> int:
    from bridge.authoring.spans import instant

    try:
        return instant(text, now)
    except ValueError as error:
        raise typer.BadParameter(f"{flag}: {error}") from None


@contextmanager
def _progress(begins: int, ends: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("backtest", total=ends - begins)
        yield lambda at: progress.update(task, completed=at - begins)


def _write_lines(path: Path, results: Results) -> None:
    import json

    path.write_text("".join(json.dumps(item.line()) + "\n" for item in results.sent()), encoding="utf-8")


def _write_json(path: Path, results: Results, found: Mapping[str, Score]) -> None:
    import json

    scored = {name: score.to_json() for name, score in found.items()}
    text = json.dumps({**results.to_json(), "scores": scored}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def print_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """A table of rules; the last row is their sum."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    left = {"rule", "kind", "name"}
    shown = [Column(title, justify="left" if key in left else "right") for key, title in columns.items()]
    table = Table(*shown)
    for place, row in enumerate(rows):
        if place == len(rows) - 1 and not row.get("rule", "x"):
            table.add_section()
            row = {**row, "rule": "all rules"}  # noqa: PLW2901 - shown under another name
        table.add_row(*(Text(str(row.get(key, ""))) for key in columns))
    console = Console()
    console = console if console.is_terminal else Console(width=160)
    console.print(table)
