"""`config show` and `config changes`: the configuration of a running bridge, over its API."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from bridge.cli.calls import get
from bridge.cli.options import BridgeUrl, HttpConfigFile, app
from bridge.cli.output import echo, echo_lines
from bridge.cli.quick import DEFAULT_URL
from bridge.cli.usage import Commands

config_app = Commands(no_args_is_help=True, help="Inspect the configuration of a running bridge.")
app.add_typer(config_app, name="config")


@config_app.command("show", short_help="Print the configuration in force, with its defaults.")
def config_show(bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None) -> None:
    """Print the configuration in force, with its defaults; secrets are hidden."""
    echo_lines(get(bridge_url, http_config, "status/config")["yaml"].rstrip("\n"))


@config_app.command("changes", short_help="List the latest changes of the configuration.")
def config_changes(
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Output format.")] = "text",
) -> None:
    """List the latest changes of the configuration, by reload or restart, newest first, with their differences."""
    import json

    found = get(bridge_url, http_config, "status/config/changes")["changes"]
    if output == "json":
        echo_lines(json.dumps(found, indent=2))
        return
    for item in found:
        event = item["event"] + (f" of {item['replica']}" if item["replica"] else "")
        result = " not applied:" if item["error"] else "" if item["diff"] else " no difference"
        echo(f"{item['at']}, {event}:{result}")
        if text := item["error"] or item["diff"]:
            echo_lines(text)
    if not found:
        echo("no change since the first start with this database")
