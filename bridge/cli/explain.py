"""`explain`: the checks behind a request, or behind the absence of one."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from bridge.cli.calls import get
from bridge.cli.names import (
    MODEL,
    ModelArgument,
    Pipeline,
    Project,
    RuleName,
    Version,
    named,
    require_known,
    require_rule,
)
from bridge.cli.options import BridgeUrl, HttpConfigFile, app, instant
from bridge.cli.output import echo, echo_lines
from bridge.cli.quick import DEFAULT_URL

_MARKS = {True: "yes", False: "NO ", None: "?  "}


@app.command(short_help="Show every check from a model's sample to a request.")
def explain(
    model: ModelArgument = "",
    project: Project = "",
    pipeline: Pipeline = "",
    version: Version = "",
    rule: RuleName = "",
    at: Annotated[
        str,
        typer.Option(
            "--at", metavar="TIME", help="Instant to explain: RFC 3339, Unix seconds or now-5m; default: now."
        ),
    ] = "",
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Output format.")] = "text",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
) -> None:
    """Show every check between a model's sample and a request, in order, and the one that decided."""
    import json

    key = named(model, project, pipeline, version, form=MODEL)
    when = instant("--at", at)
    require_known(bridge_url, http_config, key)
    if rule:
        require_rule(bridge_url, http_config, rule)
    explanations = get(bridge_url, http_config, "explain", {**key, "rule": rule, "at": when})["explanations"]
    if output == "json":
        echo_lines(json.dumps(explanations, indent=2))
        return
    for item in explanations:
        recomputed = " (recomputed from history with the present rules)" if item["recomputed"] else ""
        echo(f"{item['rule']} at {item['slot'] or 'no slot'}{recomputed}: {item['answer']}")
        for check in item["checks"]:
            echo(f"  {_MARKS[check['passed']]} {check['name']}: {check['text']}")
        if item["helped"]:
            echo(f"      {item['helped']}")
        if item["detects"]:
            echo(f"      {item['detects']}")
        for command in item["repeat"]:
            echo_lines(f"      {command}")
