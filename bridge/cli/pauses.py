"""`pause`, `pause list` and `resume`: stop sending for a while on a running bridge."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from bridge.cli.calls import get, post, user
from bridge.cli.listing import Output, print_listing
from bridge.cli.names import (
    NOT_SEEN,
    PIPELINES,
    ArgumentOrCommand,
    Force,
    Pipeline,
    PipelinesArgument,
    Project,
    named,
    require_known,
    shown,
)
from bridge.cli.options import BridgeUrl, By, HttpConfigFile, Note, app, length_of_time
from bridge.cli.output import echo, warn
from bridge.cli.quick import DEFAULT_URL
from bridge.cli.usage import Commands

pause_app = Commands(
    cls=ArgumentOrCommand, invoke_without_command=True, short_help="Hold requests for a while, or list the pauses.",
    help="Hold requests instead of sending them for a while, or list the pauses.",
    subcommand_metavar="| list",
)  # fmt: skip
app.add_typer(pause_app, name="pause")


@pause_app.callback()
def pause(
    context: typer.Context,
    pipelines: PipelinesArgument = "",
    project: Project = "",
    pipeline: Pipeline = "",
    everything: Annotated[bool, typer.Option("--all", help="Pause every pipeline; needs --note.")] = False,
    length: Annotated[
        str,
        typer.Option(
            "--for", parser=length_of_time, metavar="DURATION", help="Length of the pause, such as 2h; at most 30d."
        ),
    ] = "1d",
    note: Note = "",
    force: Force = False,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
) -> None:
    """Hold requests instead of sending them for a while; rules are still evaluated."""
    if context.invoked_subcommand:
        return
    names = named(pipelines, project, pipeline, form=PIPELINES)
    scoped = any(names.values())
    if everything and scoped:
        raise typer.BadParameter("set either --all, or name a project or pipeline")
    if not (everything or scoped):
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"name a project or pipeline ({PIPELINES}), or use --all with --note")
        typer.confirm(f"Pause sending for every pipeline of {bridge_url}?", abort=True)
    if not (note or scoped):
        if not sys.stdin.isatty():
            raise typer.BadParameter("a pause of everything needs a --note for those who wonder why nothing is sent")
        note = typer.prompt("Reason")
    known = require_known(bridge_url, http_config, names, force=force)
    body = {**names, "duration": length, "by": by or user(), "note": note, "force": force}
    created = post(bridge_url, http_config, "pause", body)
    echo(f"paused until {created['until']}: {created['scope']}")
    if not known:
        echo(NOT_SEEN)


@pause_app.command("list")
def pause_list(
    bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, output: Output = "table"
) -> None:
    """List the active pauses."""
    found = get(bridge_url, http_config, "pause")["pauses"]
    rows = [{**item, "paused by": item["who"], "since": item["at"]} for item in found]
    print_listing(found, rows, ("scope", "until", "paused by", "note"), ("since",), output, "no pauses")


@app.command(short_help="End a pause early.")
def resume(
    pipelines: PipelinesArgument = "",
    project: Project = "",
    pipeline: Pipeline = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
) -> None:
    """End a pause early: the one of exactly these pipelines, or of everything. Exits 1 if there is none."""
    names = named(pipelines, project, pipeline, form=PIPELINES)
    pauses = get(bridge_url, http_config, "pause")["pauses"]
    ended = [item for item in pauses if all(item[part] == name for part, name in names.items())]
    if not ended:
        warn(f"there is no pause of {shown(names) or 'everything'}; {_paused(pauses) or 'nothing is paused'}")
        raise typer.Exit(1)
    created = post(bridge_url, http_config, "pause", {**names, "duration": "0s", "by": by or user()})
    echo(f"resumed: {created['scope']}")
    rest = _paused([item for item in pauses if item not in ended])
    if rest:
        echo(rest)


def _paused(pauses: Sequence[Mapping[str, Any]]) -> str:
    """Return which pauses remain, "" if none."""
    remaining = ", ".join(f"{item['scope']} until {item['until']}" for item in pauses)
    return f"still paused: {remaining}" if remaining else ""
