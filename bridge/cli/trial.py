"""`try`: what the shipped rules would have done on the history of a Prometheus."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.backtest import instant_of, progress_bar
from bridge.cli.options import HttpConfigFile, ProjectLabel, app, positive_duration
from bridge.cli.output import echo, log_to_stderr, warn, warn_of_silence, write_file

if TYPE_CHECKING:
    from bridge.authoring.suggest.suggest import Suggestion
    from bridge.authoring.trial.trial import Trial
    from bridge.domain.times import Timestamp

PAGE = "report.html"


@app.command("try", short_help="Try rules on the history of a Prometheus server.")
def try_command(
    url: Annotated[
        str, typer.Option("--prometheus", "--prometheus.url", metavar="URL", help="Prometheus server to read.")
    ],
    last: Annotated[
        int, typer.Option("--last", parser=positive_duration, metavar="DURATION", help="Length of the history.")
    ] = "30d",  # type: ignore[assignment]  # the parser turns the text into milliseconds
    until: Annotated[
        str,
        typer.Option(
            "--until", metavar="TIME", help="End of the history: RFC 3339, Unix seconds, or relative (now-1d)."
        ),
    ] = "now",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="New folder for the page and the files.")
    ] = Path("retrain-bridge-try"),
    http_config: HttpConfigFile = None,
    project: ProjectLabel = "",
    time_limit: Annotated[
        int,
        typer.Option(
            "--time-limit",
            parser=positive_duration,
            metavar="DURATION",
            help="Maximum run time of the evaluation.",
        ),
    ] = "90s",  # type: ignore[assignment]  # the parser turns the text into milliseconds
) -> None:
    """Try rules on the history of a Prometheus server, and write a report page, bridge.yml and rule files.

    Nothing is sent.
    """
    from bridge.app import clock
    from bridge.authoring.suggest.first_config import first_config
    from bridge.authoring.trial.page import page
    from bridge.authoring.trial.trial import run
    from bridge.cli.suggest import source_at
    from bridge.files.yaml import read
    from bridge.net.redact import redact_url

    log_to_stderr(quiet=True)  # the page reports what failed
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise typer.BadParameter(f"{output} exists; set --output to a new folder")
    now = instant_of(until, clock.now(), "--until")
    source, _, server = source_at(url, None, http_config)
    http, shown = {} if http_config is None else read(http_config).value, redact_url(server)
    with closing(source):
        found = first_config(source, server, now, http=http, lookback=last, project=project)
    if not found.files:
        _explain_no_rule(found.suggestion, shown, now)
        raise typer.Exit(1)
    for name, text in found.files.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        write_file(output / name, text)
    with progress_bar(now - last, now, "try") as progress:
        trial = run(found, output, shown, now - last, now, time_limit / 1000, progress, warn_of_silence)
    write_file(output / PAGE, page(trial))
    _print(trial)
    echo(f"written: {', '.join(str(output / name) for name in (PAGE, *found.files))}")
    echo(f"next: open {output / PAGE}; retrain-bridge run --config.file={output / 'bridge.yml'}")


def _explain_no_rule(suggestion: Suggestion, server: str, now: Timestamp) -> None:
    """Print why no shipped rule fits the server. server: its URL without secrets."""
    from bridge.domain.times import rfc3339

    alike = [item.metric for item in suggestion.candidates if item.labelled]
    if alike:
        warn(f"{server} has metrics like signals of models ({', '.join(alike[:3])}), but no value at {rfc3339(now)}")
        warn("no rule can be tried: set --until to an instant at which the models reported")
    else:
        warn(f"{server} has {suggestion.metrics} metrics, and none of them looks like a signal of a model")
        warn("no rule can be tried: scrape your model servers, or write a rule on your own metrics (docs/rules.md)")


def _print(trial: Trial) -> None:
    """Print what the rules would have done, and each request."""
    from bridge.authoring.trial.page import sentences

    for line in sentences(trial):
        echo(line)
    for item in trial.results.sent():
        echo(f"  {item.line()['triggered_at']}  {item.model}  {item.reason}")
