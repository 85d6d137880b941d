"""`backtest`: evaluate rules over historical data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.options import app, duration, require_writable
from bridge.cli.output import cells, warn, warn_of_query, write_file

if TYPE_CHECKING:
    from bridge.authoring.backtest.backtest import Plan
    from bridge.authoring.backtest.results import Results
    from bridge.authoring.backtest.scoring import Score

Since = Annotated[
    str, typer.Option("--from", metavar="TIME", help="Start: RFC 3339, Unix seconds, or relative (now-30d).")
]
Until = Annotated[
    str, typer.Option("--to", metavar="TIME", help="End: RFC 3339, Unix seconds, now, or relative (now-1d).")
]
OwnConfigFile = Annotated[
    Path | None, typer.Option("--config.file", metavar="FILE", help="Configuration file (bridge.yml).")
]
RuleFiles = Annotated[
    list[Path] | None,
    typer.Option("--rules", metavar="FILE", help="Rule file to use without a configuration; repeatable."),
]
PrometheusUrl = Annotated[
    str, typer.Option("--prometheus.url", metavar="URL", help="Prometheus server to query; required with --rules.")
]
Step = Annotated[
    int | None,
    typer.Option(
        "--step", parser=duration, metavar="DURATION", help="Evaluation interval, instead of each group's own."
    ),
]
_LEFT_ALIGNED = frozenset({"rule", "kind", "name", "settings"})


@app.command(short_help="Evaluate rules over historical data.")
def backtest(
    since: Since,
    until: Until = "now",
    config_file: OwnConfigFile = None,
    rules: RuleFiles = None,
    url: PrometheusUrl = "",
    step: Step = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="File of periods in which a retraining was needed or not, to score the requests against.",
        ),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option("--decisions", metavar="FILE", help="File to write the sent requests to, as JSON lines."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a report with charts to this file.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all results to this file as JSON.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume", metavar="FOLDER", help="Folder for progress; rerun the same command to continue from it."
        ),
    ] = None,
) -> None:
    """Evaluate rules over historical data, with the live engine and all its gates. Nothing is sent."""
    from bridge.app import clock
    from bridge.authoring.backtest import report as backtest_report
    from bridge.authoring.backtest import scoring
    from bridge.authoring.backtest.backtest import Backtest
    from bridge.authoring.backtest.no_data import no_data
    from bridge.domain.model import ModelTable

    require_writable({"--decisions": decisions, "--json": json_file, "--html": html})
    plan = plan_of_files(config_file, rules or [], url, step)
    labelled = [] if labels is None else scoring.read_labels(labels)
    start, end = instants(since, until, resume)
    table = ModelTable()
    plan.require_server(end)
    with closing(plan.source(table, warn_of_query)) as source, progress_bar(start, end) as progress:
        run = Backtest(plan, source, table, start, end, resume, (since, until), charts=html is not None)
        results = run.run(progress)
        missing = no_data(plan, source, results, clock.now())
    scores = scoring.scores(labelled, results) if labelled else {}
    _print(results, scores)
    if decisions is not None:
        _write_lines(decisions, results)
    if json_file is not None:
        _write_json(json_file, results, scores)
    if html is not None and run.recorder is not None:
        drawn, left_out = backtest_report.charts(results, run.recorder, table, labelled)
        write_file(html, backtest_report.page(results, scores, drawn, left_out))
    if missing:
        warn(missing)
        raise typer.Exit(1)


def plan_of_files(config_file: Path | None, rules: list[Path], url: str, step: int | None = None) -> Plan:
    """Return the plan of a configuration, or of rule files alone. Raises ConfigError and BadParameter."""
    from bridge.authoring.backtest.backtest import of_config, of_rules

    if bool(rules) == (config_file is not None):
        raise typer.BadParameter("set either --config.file, or --rules with --prometheus.url")
    if rules and not url:
        raise typer.BadParameter("--rules needs --prometheus.url")
    plan = of_rules(rules, url) if config_file is None else of_config(config_file, url)
    if step is not None and step <= 0:
        raise typer.BadParameter("--step must be greater than 0")
    return plan if step is None else plan.at_step(step)


def instants(since: str, until: str, resume: Path | None = None) -> tuple[int, int]:
    """Return start and end; those of the run saved in `resume` if it was started with the same arguments."""
    from bridge.app import clock
    from bridge.authoring.backtest import progress as resuming
    from bridge.domain.times import MINUTE, rfc3339

    saved = None if resume is None else resuming.span(resume, (since, until))
    now = clock.now()
    start, end = saved or (instant_of(since, now, "--from"), instant_of(until, now, "--to"))
    if start >= end:
        raise typer.BadParameter("--from must be before --to")
    if end > now + MINUTE:
        warn(f"--to is in the future: {rfc3339(end)}; rates per week count the time until then")
    return start, end


def instant_of(text: str, now: int, flag: str) -> int:
    """Return the instant of an option in ms. Raises BadParameter."""
    from bridge.authoring.backtest.time_argument import parse_time

    try:
        return parse_time(text, now)
    except ValueError as error:
        raise typer.BadParameter(f"{flag}: {error}") from None


@contextmanager
def progress_bar(start: int, end: int, title: str = "backtest") -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(title, total=end - start)
        yield lambda at: progress.update(task, completed=at - start)


def _write_lines(path: Path, results: Results) -> None:
    import json

    write_file(path, "".join(json.dumps(item.line()) + "\n" for item in results.sent()))


def _write_json(path: Path, results: Results, scores: Mapping[str, Score]) -> None:
    import json

    scored = {name: score.to_json() for name, score in scores.items()}
    text = json.dumps({**results.to_json(), "scores": scored}, indent=1)
    write_file(path, text + "\n")


def _print(results: Results, scores: Mapping[str, Score]) -> None:
    """Print the tables to stdout, and failed slots to stderr."""
    from bridge.authoring.backtest.results import COLUMNS
    from bridge.authoring.backtest.scoring import SCORE_COLUMNS

    rows = list(results.rows())
    rows[-1]["rule"] = "all rules"
    show_table(rows, COLUMNS)
    if scores:
        show_table([{"name": name, **score.shown()} for name, score in scores.items()], SCORE_COLUMNS)
    for rule, message in results.silences().items():
        warn(f"{rule}: {message}")
    for rule, message in results.errors.items():
        failed = results.rules[rule].failed
        slots = "slot" if failed == 1 else "slots"
        warn(f"{rule}: {failed} {slots} could not be evaluated; last error: {message}")


def show_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print a table. columns: key -> title."""
    from rich.console import Console
    from rich.table import Column, Table

    from bridge.authoring.backtest.results import cell

    headers = (Column(title, justify="left" if key in _LEFT_ALIGNED else "right") for key, title in columns.items())
    table = Table(*headers)
    for row in rows:
        table.add_row(*cells(cell(row[key]) for key in columns))
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
