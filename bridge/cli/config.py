"""`config show` and `config changes`: the configuration of a running bridge, over its API."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from bridge.cli.calls import get
from bridge.cli.options import BridgeUrl, HttpConfigFile, app
from bridge.cli.output import echo, echo_lines
from bridge.cli.quick import DEFAULT_URL

config_app = typer.Typer(no_args_is_help=True, help="Inspect the configuration of a running bridge.")
app.add_typer(config_app, name="config")


@config_app.command("show")
def config_show(bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None) -> None:
    """Print the configuration in force, with its defaults; secrets are hidden."""
    echo_lines(get(bridge_url, http_config, "status/config")["yaml"].rstrip("\n"))


@config_app.command("changes")
def config_changes(
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Output format.")] = "text",
) -> None:
    """List the reloads since the start of the bridge, newest first, with what each changed."""
    import json

    found = get(bridge_url, http_config, "status/config/changes")["changes"]
    if output == "json":
        echo_lines(json.dumps(found, indent=2))
        return
    for item in found:
        if item["error"]:
            echo(f"{item['at']}: not applied:")
            echo_lines(item["error"])
        else:
            echo(f"{item['at']}:{'' if item['diff'] else ' no difference'}")
            if item["diff"]:
                echo_lines(item["diff"])
    if not found:
        echo("no reload since the start")
