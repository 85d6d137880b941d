"""`report`: what the requested retrainings were worth, from the history of a running bridge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bridge.cli.calls import get
from bridge.cli.listing import print_listing
from bridge.cli.names import PIPELINES, Pipeline, PipelinesArgument, Project, RuleName, explain_nothing, named
from bridge.cli.options import BridgeUrl, HttpConfigFile, app, positive_duration, require_writable
from bridge.cli.output import echo, echo_lines, warn, write_file
from bridge.cli.quick import DEFAULT_URL

if TYPE_CHECKING:
    from bridge.authoring.impact.impact import Impact

_PAGE, _MOST = 1000, 20_000  # entries in one call, and in all


@app.command(short_help="Report which retrainings helped, and which rules to change.")
def report(
    pipelines: PipelinesArgument = "",
    last: Annotated[
        int, typer.Option("--last", parser=positive_duration, metavar="DURATION", help="Period before now.")
    ] = "90d",  # type: ignore[assignment]  # the parser turns the text into milliseconds
    project: Project = "",
    pipeline: Pipeline = "",
    rule: RuleName = "",
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page to this file.")] = None,
    signals: Annotated[
        bool, typer.Option("--signals/--no-signals", help="Compare values of signals, read from Prometheus.")
    ] = True,
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Output format.")] = "text",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
) -> None:
    """Report what the retrainings of a period were worth, and which rules to change."""
    import json

    from bridge.app import clock
    from bridge.authoring.impact.impact import impact
    from bridge.authoring.impact.page import page
    from bridge.domain.times import format_duration, rfc3339

    require_writable({"--html": html})
    since, period = rfc3339(clock.now() - last), format_duration(last)
    names = named(pipelines, project, pipeline, form=PIPELINES)
    filters = {**names, "rule": rule}
    requests = _requests(bridge_url, http_config, filters, since)
    if not requests:
        explain_nothing(bridge_url, http_config, names, rule)
    held = _held(bridge_url, http_config, filters, since)
    found = impact(requests, held)
    if signals:
        found = _with_changes(bridge_url, http_config, found, requests)
    if html is not None:
        write_file(html, page(found, period))
    if output == "json":
        echo_lines(json.dumps(found.to_json(), indent=2))
    else:
        _print(found, period)
    if not requests:
        warn(_without_requests(bridge_url, http_config, filters, period))
        raise typer.Exit(1)


def _without_requests(url: str, http_config: Path | None, filters: dict[str, str], period: str) -> str:
    """Return that the period has no requests, and when the latest one was made."""
    older = get(url, http_config, "requests", {**filters, "limit": 1})["requests"]
    latest = f"; the latest one is of {older[0]['triggered_at']}: choose a longer --last" if older else ", nor before"
    return f"no request was made in the last {period}{latest}"


def _with_changes(url: str, http_config: Path | None, found: Impact, requests: list[Any]) -> Impact:
    """Return the impact with the changes of the signals' values, as far as they can be read."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from bridge.app.client import ApiError
    from bridge.authoring.impact.differences import differences
    from bridge.cli.signal_changes import Changes

    reader = Changes(url, http_config, datetime.now(UTC))
    try:
        changes = differences(list(reader.treated(requests)), list(reader.untreated(requests)))
    except ApiError as error:
        warn(f"values of signals are not compared: {error}")
        return found
    return replace(found, changes=changes)


def _print(found: Impact, period: str) -> None:
    """Print the impact as sentences, tables and advice. period: as text."""
    from bridge.authoring.impact.impact import COLUMNS, advice, sentences

    for text in sentences(found, period):
        echo(text)
    for title, tallies in (("rule", found.rules), ("pipeline", found.pipelines)):
        columns = [title, *(text for key, text in COLUMNS.items() if key != "name")]
        rows = [dict(zip(columns, item.row(name).values(), strict=True)) for name, item in tallies.items()]
        echo()
        print_listing([], rows, columns, (), "table", f"no {title}s")
    echo()
    for name, tally in found.rules.items():
        what, why = advice(tally)
        echo(f"{name}: {what} ({why})")


def _requests(url: str, http_config: Path | None, filters: dict[str, str], since: str) -> list[Any]:
    """Return the requests that were triggered since an instant."""
    found: list[Any] = []
    after = ""
    while len(found) < _MOST:
        data = get(url, http_config, "requests", {**filters, "limit": _PAGE, "after": after})
        recent = [item for item in data["requests"] if item["triggered_at"] >= since]
        found += recent
        after = data["next"] or ""
        if not after or len(recent) < len(data["requests"]):
            return found
    warn(f"only the latest {len(found)} requests are counted; choose a shorter --last")
    return found


def _held(url: str, http_config: Path | None, filters: dict[str, str], since: str) -> list[Any]:
    """Return the decisions that held a request since an instant."""
    found: list[Any] = []
    before = 0
    outcomes = ["held", "escalated"]
    while len(found) < _MOST:
        parameters = {**filters, "outcome": outcomes, "since": since, "limit": _PAGE, "before": before}
        data = get(url, http_config, "decisions", parameters)
        found += data["decisions"]
        before = data["next"] or 0
        if not before:
            return found
    warn(f"only the latest {len(found)} decisions about held requests are counted; choose a shorter --last")
    return found
