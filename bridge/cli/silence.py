"""`silence`, `silence list` and `silence expire`: silences in the Alertmanager of a running bridge."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from bridge.cli.calls import get, post, user
from bridge.cli.listing import Output, print_listing
from bridge.cli.names import (
    MODELS,
    NOT_SEEN,
    ArgumentOrCommand,
    Force,
    ModelsArgument,
    Pipeline,
    Project,
    UnknownNameError,
    Version,
    named,
    require_known,
    shown,
)
from bridge.cli.options import BridgeUrl, By, HttpConfigFile, app, length_of_time
from bridge.cli.output import echo
from bridge.cli.quick import DEFAULT_URL
from bridge.cli.usage import Commands

_MOST = 1000  # silences
_ID_LENGTH = 36  # of a UUID

silence_app = Commands(
    cls=ArgumentOrCommand, invoke_without_command=True, short_help="Silence models in Alertmanager for a while.",
    help="Silence models in Alertmanager for a while: their alerts are muted, and their requests are held.",
    subcommand_metavar="| list | expire ID",
)  # fmt: skip
app.add_typer(silence_app, name="silence")


@silence_app.callback()
def silence(
    context: typer.Context,
    models: ModelsArgument = "",
    project: Project = "",
    pipeline: Pipeline = "",
    version: Version = "",
    length: Annotated[
        str,
        typer.Option(
            "--for", parser=length_of_time, metavar="DURATION", help="Length of the silence, such as 2h; at most 30d."
        ),
    ] = "1h",
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Comment of the silence.")] = "",
    force: Force = False,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
) -> None:
    """Silence models in Alertmanager for a while: their alerts are muted, and their requests are held."""
    if context.invoked_subcommand:
        return
    names = named(models, project, pipeline, version)
    if not any(names.values()):
        raise typer.BadParameter(f"name the models to silence as {MODELS}, or with the options")
    known = require_known(bridge_url, http_config, names, force=force)
    body = {
        **names, "duration": length, "by": by or user(), "note": note or "silenced on the command line", "force": force,
    }  # fmt: skip
    made = post(bridge_url, http_config, "silences", body)
    end = f"retrain-bridge silence expire {made['id'][:8]}"
    echo(f"{shown(names)} silenced until {made['until']}; to end it earlier: {end}")
    if not known:
        echo(NOT_SEEN)


@silence_app.command("list")
def silence_list(
    bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, output: Output = "table"
) -> None:
    """List the silences in force, and how many requests each holds."""
    found = get(bridge_url, http_config, "silences", {"limit": _MOST})["silences"]
    rows = [
        {
            **item, "matchers": " ".join(item["matchers"]), "ends": item["ends_at"], "created by": item["created_by"],
            "holds": len(item["requests"]),
        }
        for item in found
    ]  # fmt: skip
    print_listing(found, rows, ("id", "matchers", "ends", "holds", "comment"), ("created by",), output, "no silences")


@silence_app.command("expire", short_help="End a silence early.")
def silence_expire(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the silence, or its first digits.")],
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
) -> None:
    """End a silence early, in each Alertmanager that has it."""
    whole = _whole_id(silence_id, bridge_url, http_config)
    post(bridge_url, http_config, f"silences/{quote(whole, safe='')}/expire")
    echo(f"{whole}: ended")


def _whole_id(text: str, url: str, http_config: HttpConfigFile) -> str:
    """Return the id of the silence that begins with a text. Raises UnknownNameError if none or several do."""
    if not text:
        raise typer.BadParameter("the id is empty; `silence list` shows the ids")
    if len(text) >= _ID_LENGTH:
        return text
    known = [item["id"] for item in get(url, http_config, "silences", {"limit": _MOST})["silences"]]
    found: list[str] = [one for one in known if one.startswith(text)]
    if len(found) != 1:
        raise UnknownNameError(f"{len(found) or 'none'} of the {len(known)} silences in force begin with {text!r}")
    return found[0]
