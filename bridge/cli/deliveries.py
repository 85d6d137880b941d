"""`deliveries discard`: end the deliveries to destinations that were removed from the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from bridge.cli.calls import get, post, user
from bridge.cli.delivery_text import is_unserved
from bridge.cli.listing import MOST
from bridge.cli.options import BridgeUrl, By, HttpConfigFile, Note, app
from bridge.cli.output import echo, warn
from bridge.cli.quick import DEFAULT_URL
from bridge.cli.usage import Commands
from bridge.domain.destination import receiver_of

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
        listed = _listed(bridge_url, http_config)
        count = sum(is_unserved(item) and receiver_of(item["destination"]) == receiver for item in listed)
        if not count and len(listed) < MOST:
            _refuse(receiver, listed)
        text = f"{'at least ' if len(listed) == MOST else ''}{count} deliver{'y' if count == 1 else 'ies'}"
        question = f"End {text} to destinations of receiver {receiver!r} that are not configured any more?"
        typer.confirm(question, abort=True)
    body = {"receiver": receiver, "by": by or user(), "note": note}
    found = post(bridge_url, http_config, "deliveries/discard", body)
    if not found["discarded"]:
        _refuse(receiver, _listed(bridge_url, http_config))
    count, requests = found["discarded"], found["requests"]
    echo(
        f"{count} deliver{'y' if count == 1 else 'ies'} of {requests} request{'' if requests == 1 else 's'} discarded:"
        f" {', '.join(found['destinations'])}"
    )


def _listed(url: str, http_config: Path | None) -> list[Mapping[str, Any]]:
    """Return the deliveries that wait or are dead, at most MOST."""
    found: list[Mapping[str, Any]] = get(url, http_config, "deliveries", {"limit": MOST})["deliveries"]
    return found


def _refuse(receiver: str, listed: Sequence[Mapping[str, Any]]) -> NoReturn:
    """Say that a receiver has no delivery to discard, and which receivers have some. Exits 1."""
    names = ", ".join(sorted({receiver_of(item["destination"]) for item in listed if is_unserved(item)}))
    others = f"receivers with such deliveries: {names}" if names else "no receiver has such deliveries"
    warn(f"nothing discarded: no delivery waits for a destination of {receiver!r} that is not configured; {others}")
    raise typer.Exit(1)
