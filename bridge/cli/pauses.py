"""`pause`, `pause list` and `resume`: stop sending for a while on a running bridge."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from bridge.cli.calls import get, post, user
from bridge.cli.listing import Output, print_listing
from bridge.cli.options import BridgeUrl, By, HttpConfigFile, Note, app
from bridge.cli.output import echo, warn
from bridge.cli.quick import DEFAULT_URL

pause_app = typer.Typer(
    invoke_without_command=True, short_help="Hold requests for a while, or list the pauses.",
    help="Hold requests instead of sending them for a while, or list the pauses.",
)  # fmt: skip
app.add_typer(pause_app, name="pause")

Project = Annotated[str, typer.Option("--project", metavar="NAME", help="Limit to this project.")]
Pipeline = Annotated[str, typer.Option("--pipeline", metavar="NAME", help="Limit to this pipeline (needs --project).")]


@pause_app.callback()
def pause(
    context: typer.Context,
    length: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="Length of the pause, such as 2h; at most 30d.")
    ] = "1d",
    project: Project = "",
    pipeline: Pipeline = "",
    everything: Annotated[bool, typer.Option("--all", help="Pause every pipeline; needs --note.")] = False,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
    note: Note = "",
) -> None:
    """Hold requests instead of sending them for a while; rules are still evaluated."""
    if context.invoked_subcommand:
        return
    if everything and (project or pipeline):
        raise typer.BadParameter("set either --all, or --project and --pipeline")
    if not (everything or project or pipeline):
        if not sys.stdin.isatty():
            raise typer.BadParameter("name a --project (and --pipeline), or pause everything with --all and --note")
        typer.confirm(f"Pause sending for every pipeline of {bridge_url}?", abort=True)
    if not (note or project or pipeline):
        if not sys.stdin.isatty():
            raise typer.BadParameter("a pause of everything needs a --note for those who wonder why nothing is sent")
        note = typer.prompt("Reason")
    body = {"project": project, "pipeline": pipeline, "duration": length, "by": by or user(), "note": note}
    created = post(bridge_url, http_config, "pause", body)
    echo(f"paused until {created['until']}: {created['scope']}")


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
    project: Project = "",
    pipeline: Pipeline = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
) -> None:
    """End a pause early; give the project and pipeline that the pause has. Exits 1 if there is none."""
    pauses = get(bridge_url, http_config, "pause")["pauses"]
    ended = [item for item in pauses if (item["project"], item["pipeline"]) == (project, pipeline)]
    if not ended:
        scope = "/".join(filter(None, (project, pipeline))) or "everything"
        warn(f"there is no pause of {scope}; {_paused(pauses) or 'nothing is paused'}")
        raise typer.Exit(1)
    body = {"project": project, "pipeline": pipeline, "duration": "0s", "by": by or user()}
    echo(f"resumed: {post(bridge_url, http_config, 'pause', body)['scope']}")
    rest = _paused([item for item in pauses if item not in ended])
    if rest:
        echo(rest)


def _paused(pauses: Sequence[Mapping[str, Any]]) -> str:
    """Return which pauses remain, "" if none."""
    named = ", ".join(f"{item['scope']} until {item['until']}" for item in pauses)
    return f"still paused: {named}" if named else ""
