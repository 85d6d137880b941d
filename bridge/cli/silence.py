"""`silence`: create a silence in the Alertmanager of a running bridge."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.calls import PARTS, post, user
from bridge.cli.options import BridgeUrl, By, HttpConfigFile, app
from bridge.cli.output import echo
from bridge.cli.quick import DEFAULT_URL


@app.command(short_help="Silence models in Alertmanager for a while.")
def silence(
    models: Annotated[
        str,
        typer.Argument(metavar="PROJECT[/PIPELINE[/VERSION]]", help="Models to silence."),
    ],
    length: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="Length of the silence, such as 2h; at most 30d.")
    ] = "1h",
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Comment of the silence.")] = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
) -> None:
    """Silence models in Alertmanager for a while: their alerts are muted, and their requests are held."""
    parts = models.split("/")
    if len(parts) > len(PARTS) or not all(parts):
        raise typer.BadParameter("name the models as PROJECT, PROJECT/PIPELINE or PROJECT/PIPELINE/VERSION")
    labels = dict(zip(PARTS, parts, strict=False))
    body = {**labels, "duration": length, "by": by or user(), "note": note or "silenced on the command line"}
    made = post(bridge_url, http_config, "silences", body)
    echo(f"{models} silenced until {made['until']}: {made['id']} (amtool silence expire {made['id']} ends it)")
