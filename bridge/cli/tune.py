"""`tune`: compare settings of one rule on historical data."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.backtest import (
    OwnConfigFile,
    PrometheusUrl,
    RuleFiles,
    Since,
    Until,
    instants,
    plan_of_files,
    progress_bar,
    show_table,
)
from bridge.cli.options import HttpConfigFile, app, require_writable
from bridge.cli.output import warn, warn_of_query, write_file

if TYPE_CHECKING:
    from bridge.authoring.tune.incidents import Window

Values = Annotated[str, typer.Option(help="Values, separated by commas.")]


@app.command(short_help="Compare settings of a rule on historical data.")
def tune(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Name of the rule.")],
    since: Since,
    until: Until = "now",
    config_file: OwnConfigFile = None,
    rules: RuleFiles = None,
    url: PrometheusUrl = "",
    limit: Annotated[
        str,
        typer.Option("--limit", metavar="VALUES", help="Limits to compare, separated by commas: 0.1,0.2 or 200ms,1s."),
    ] = "",
    wait: Annotated[str, typer.Option("--for", metavar="VALUES", help="Values of `for` to compare: 0s,10m,1h.")] = "",
    sensitivity: Annotated[
        str,
        typer.Option("--sensitivity", metavar="VALUES", help="Sensitivities to compare, for strategies that have one."),
    ] = "",
    strategy: Annotated[
        str, typer.Option("--strategy", metavar="NAMES", help="Strategies to compare: threshold,auto.")
    ] = "",
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param", metavar="NAME=VALUES", help="Another parameter with its values: NAME=V1,V2; repeatable."
        ),
    ] = None,
    incidents: Annotated[
        Path | None,
        typer.Option(
            "--incidents",
            metavar="FILE",
            help="CSV of periods in which a retraining was needed: project,pipeline,version,start,end.",
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option("--annotations", metavar="FILE", help="Annotations exported from Grafana's API, as JSON."),
    ] = None,
    feedback: Annotated[
        str,
        typer.Option(
            "--feedback.url",
            metavar="URL",
            help="Running bridge; its feedback on the rule's requests is used as ground truth.",
        ),
    ] = "",
    http_config: HttpConfigFile = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a report with charts to this file.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the results to this file as JSON.")
    ] = None,
) -> None:
    """Compare settings of a rule on historical data: requests a week against detection and delay. Nothing is sent."""
    from bridge.app import clock
    from bridge.authoring.backtest.no_data import no_data
    from bridge.authoring.tune import grid as grids
    from bridge.authoring.tune import report
    from bridge.authoring.tune.compare import COLUMNS, compare, plan_of
    from bridge.domain.model import ModelTable

    require_writable({"--json": json_file, "--html": html})
    plan = plan_of_files(config_file, rules or [], url)
    group, found = grids.find(plan.groups, rule)
    chosen = {"strategy": strategy, "for": wait, grids.LIMIT: limit, grids.SENSITIVITY: sensitivity, **_params(param)}
    variants = grids.grid(group, found, {name: _split(text) for name, text in chosen.items() if text})
    start, end = instants(since, until)
    windows = _windows(incidents, annotations, feedback, http_config, rule)
    table = ModelTable()
    trial = plan_of(plan, group, variants)
    trial.require_server(end)
    with closing(trial.source(table, warn_of_query)) as source, progress_bar(start, end) as progress:
        outcomes, results = compare(trial, source, table, variants, windows, (start, end), plan.gates, progress)
        missing = no_data(trial, source, results, clock.now())
    show_table([outcome.row() for outcome in outcomes], COLUMNS)
    if json_file is not None:
        _write_json(json_file, rule, [outcome.to_json() for outcome in outcomes])
    if html is not None:
        write_file(html, report.page(rule, outcomes))
    if all(outcome.silence for outcome in outcomes):
        warn(f"{rule}: {outcomes[0].silence}")
    if missing:
        warn(missing)
        raise typer.Exit(1)


def _params(given: list[str] | None) -> dict[str, str]:
    found = {}
    for item in given or []:
        name, separator, values = item.partition("=")
        if not separator or not name or not values:
            raise typer.BadParameter(f"--param {item}: write NAME=V1,V2")
        found[name] = values
    return found


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _windows(
    incidents: Path | None, annotations: Path | None, feedback: str, http_config: Path | None, rule: str
) -> list[Window]:
    from bridge.app import clock
    from bridge.app.client import Access, call_api
    from bridge.authoring.tune.incidents import of_feedback, read_annotations, read_csv

    found = [] if incidents is None else read_csv(incidents, clock.now())
    found += [] if annotations is None else read_annotations(annotations)
    if feedback:
        access, after = Access.of(feedback, http_config), ""
        while True:
            page = call_api(access, f"/api/v1/requests?limit=1000{after}")
            found += of_feedback(page["requests"], rule)
            if not page.get("next"):
                break
            after = f"&after={page['next']}"
    return found


def _write_json(path: Path, rule: str, outcomes: list[dict[str, object]]) -> None:
    import json

    write_file(path, json.dumps({"rule": rule, "variants": outcomes}, indent=1) + "\n")
