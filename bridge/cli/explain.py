"""`explain`: why there was, or was no, request."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import typer

from bridge.cli.options import DEFAULT_URL, BridgeUrl, HttpConfigFile, app
from bridge.cli.saying import say, say_lines

_MARKS = {True: "yes", False: "NO ", None: "?  "}


@app.command()
def explain(
    model: Annotated[str, typer.Argument(help="PROJECT/PIPELINE/VERSION.")],
    rule: Annotated[str, typer.Option("--rule", help="Only this rule.")] = "",
    at: Annotated[str, typer.Option("--at", help="RFC 3339: at that instant; now by default.")] = "",
    output: Annotated[str, typer.Option("--output", help="text or json.")] = "text",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
) -> None:
    """Every check between a model's sample and a request, in order, and which one decided."""
    import json

    from bridge.app.client import Access, ask

    parts = model.split("/")
    if len(parts) != 3 or not all(parts):
        raise typer.BadParameter("a model is PROJECT/PIPELINE/VERSION; names with a slash: ask /api/v1/explain")
    wanted = dict(zip(("project", "pipeline", "version"), parts, strict=True)) | {"rule": rule, "at": at}
    query = urlencode({name: value for name, value in wanted.items() if value})
    found = ask(Access.of(bridge_url, http_config), f"/api/v1/explain?{query}")["explanations"]
    if output == "json":
        say_lines(json.dumps(found, indent=2))
        return
    for item in found:
        again = " (re-computed from history)" if item["recomputed"] else ""
        say(f"{item['rule']} at {item['slot'] or 'no slot'}{again}: {item['answer']}")
        for check in item["checks"]:
            say(f"  {_MARKS[check['passed']]} {check['name']}: {check['text']}")
        if item["helped"]:
            say(f"      {item['helped']}")
        for command in item["repeat"]:
            say_lines(f"      {command}")
