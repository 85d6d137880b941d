"""`deliveries discard`: end the deliveries to destinations that were removed from the configuration."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.calls import post, user
from bridge.cli.options import BridgeUrl, By, HttpConfigFile, Note, app
from bridge.cli.output import echo
from bridge.cli.quick import DEFAULT_URL
from bridge.cli.usage import Commands

deliveries_app = Commands(no_args_is_help=True, help="Manage the deliveries of a running bridge.")
app.add_typer(deliveries_app, name="deliveries")


@deliveries_app.callback()
def deliveries() -> None:
    """Manage the deliveries of a running bridge."""


@deliveries_app.command("discard", short_help="End the deliveries to a removed destination.")
def discard(
    receiver: Annotated[
        str, typer.Option("--receiver", metavar="NAME", help="Receiver that was removed, or of which an entry was.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for a confirmation.")] = False,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
    note: Note = "",
) -> None:
    """End the waiting and dead deliveries to destinations of a receiver that are not configured any more."""
    if not yes:
        question = f"End all deliveries to destinations of receiver {receiver!r} that are not configured any more?"
        typer.confirm(question, abort=True)
    body = {"receiver": receiver, "by": by or user(), "note": note}
    found = post(bridge_url, http_config, "deliveries/discard", body)
    if not found["discarded"]:
        echo(f"nothing discarded: no delivery waits for a destination of {receiver!r} that is not configured")
        return
    count, requests = found["discarded"], found["requests"]
    echo(
        f"{count} deliver{'y' if count == 1 else 'ies'} of {requests} request{'' if requests == 1 else 's'} discarded:"
        f" {', '.join(found['destinations'])}"
    )
