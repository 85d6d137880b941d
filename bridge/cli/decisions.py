"""`decisions list`: the recorded decisions of a running bridge, over its API."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.calls import get
from bridge.cli.listing import From, Limit, Output, To, period, print_listing, warn_of_more
from bridge.cli.names import (
    ModelsArgument,
    Pipeline,
    Project,
    RuleName,
    Version,
    explain_nothing,
    model_name,
    named,
)
from bridge.cli.options import BridgeUrl, HttpConfigFile, app
from bridge.cli.quick import DEFAULT_URL
from bridge.cli.usage import Commands

decisions_app = Commands(no_args_is_help=True, help="Inspect the recorded decisions of a running bridge.")
app.add_typer(decisions_app, name="decisions")


@decisions_app.command("list", short_help="List the latest decisions, newest first.")
def decisions_list(
    models: ModelsArgument = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    project: Project = "",
    pipeline: Pipeline = "",
    version: Version = "",
    rule: RuleName = "",
    outcome: Annotated[
        list[str] | None,
        typer.Option("--outcome", metavar="OUTCOME", help="Only this outcome, such as held; repeatable."),
    ] = None,
    since: From = "",
    until: To = "",
    limit: Limit = 50,
    output: Output = "table",
) -> None:
    """List the latest decisions, newest first: each step of a rule for a model, with its reason."""
    names = named(models, project, pipeline, version)
    parameters = {**names, **period(since, until), "rule": rule, "outcome": outcome, "limit": limit}
    data = get(bridge_url, http_config, "decisions", parameters)
    found = data["decisions"]
    if not found:
        explain_nothing(bridge_url, http_config, names, rule)
    rows = [
        {
            **item, "model": model_name(item) if item["project"] else "all", "request": item["request_id"],
            "alert": f"{item['before']} -> {item['after']}",
        }
        for item in found
    ]  # fmt: skip
    columns = ("slot", "model", "rule", "outcome", "alert", "reason")
    print_listing(found, rows, columns, ("request", "query"), output, "no decisions")
    warn_of_more("decisions", len(found), data["next"])
