"""`explain`: the checks behind a request, or behind the absence of one."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import typer

from bridge.cli.options import BridgeUrl, HttpConfigFile, app
from bridge.cli.output import echo, echo_lines
from bridge.cli.quick import DEFAULT_URL

_MARKS = {True: "yes", False: "NO ", None: "?  "}


@app.command()
def explain(
    model: Annotated[str, typer.Argument(help="PROJECT/PIPELINE/VERSION.")],
    rule: Annotated[str, typer.Option("--rule", help="Explain only this rule.")] = "",
    at: Annotated[str, typer.Option("--at", help="Instant to explain (RFC 3339); default: now.")] = "",
    output: Annotated[str, typer.Option("--output", help="Output format: text or json.")] = "text",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
) -> None:
    """Show every check between a model's sample and a request, in order, and the one that decided."""
    import json

    from bridge.app.client import Access, call_api

    parts = model.split("/")
    if len(parts) != 3 or not all(parts):
        raise typer.BadParameter("MODEL must be PROJECT/PIPELINE/VERSION; if a name has a slash, use /api/v1/explain")
    parameters = dict(zip(("project", "pipeline", "version"), parts, strict=True)) | {"rule": rule, "at": at}
    query = urlencode({name: value for name, value in parameters.items() if value})
    explanations = call_api(Access.of(bridge_url, http_config), f"/api/v1/explain?{query}")["explanations"]
    if output == "json":
        echo_lines(json.dumps(explanations, indent=2))
        return
    for item in explanations:
        recomputed = " (recomputed from history)" if item["recomputed"] else ""
        echo(f"{item['rule']} at {item['slot'] or 'no slot'}{recomputed}: {item['answer']}")
        for check in item["checks"]:
            echo(f"  {_MARKS[check['passed']]} {check['name']}: {check['text']}")
        if item["helped"]:
            echo(f"      {item['helped']}")
        for command in item["repeat"]:
            echo_lines(f"      {command}")
