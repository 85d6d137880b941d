"""Acts of people on a running bridge: `requests approve|release|withdraw|create`, `pause` and `resume`."""

from __future__ import annotations

import getpass
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bridge.cli.options import DEFAULT_URL, BridgeUrl, HttpConfigFile, app
from bridge.cli.requests import requests_app
from bridge.cli.saying import say

Note = Annotated[str, typer.Option("--note", help="Why; it is recorded.")]
By = Annotated[str, typer.Option("--by", help="Who acts, when the bridge has no users of its own.")]
Project = Annotated[str, typer.Option(help="Only of this project.")]
Pipeline = Annotated[str, typer.Option(help="Only of this pipeline.")]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in a container
        return ""


def _post(url: str, http_config: HttpConfigFile, path: str, body: dict[str, Any]) -> Any:
    from bridge.app.client import Access, ask

    return ask(Access.of(url, http_config), path, "POST", body)


def _act(what: str, request_id: str, url: str, http_config: HttpConfigFile, by: str, note: str) -> None:
    path = f"/api/v1/requests/{quote(request_id, safe='')}/{what}"
    found = _post(url, http_config, path, {"by": by or _user(), "note": note})
    held = f", held: {found['hold']}" if found.get("hold") else ""
    say(f"{found['id']}: {found['state']}{held}")


@requests_app.command("approve")
def approve(
    request_id: str, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Say yes to a request that awaits approval; the other gates still count."""
    _act("approve", request_id, bridge_url, http_config, by, note)


@requests_app.command("release")
def release(
    request_id: str, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Send a held request now, past every gate."""
    _act("release", request_id, bridge_url, http_config, by, note)


@requests_app.command("withdraw")
def withdraw(
    request_id: str, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Take back a request that is held; its episode asks no more."""
    _act("withdraw", request_id, bridge_url, http_config, by, note)


@requests_app.command("create")
def create(
    project: Annotated[str, typer.Option(help="Of the model.")],
    pipeline: Annotated[str, typer.Option(help="Of the model.")],
    version: Annotated[str, typer.Option(help="Of the model.")],
    reason: Annotated[str, typer.Option(help="Why; receivers are told.")],
    force: Annotated[bool, typer.Option("--force", help="Through closed gates.")] = False,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
) -> None:
    """Ask for a retraining by hand."""
    body = {"project": project, "pipeline": pipeline, "version": version, "reason": reason, "force": force}
    found = _post(bridge_url, http_config, "/api/v1/requests", {**body, "by": by or _user()})
    say(f"{found['id']}: {found['state']}")


@app.command()
def pause(
    length: Annotated[str, typer.Option("--for", help="How long, such as 2h; at most 30d.")] = "1d",
    project: Project = "",
    pipeline: Pipeline = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
    note: Note = "",
) -> None:
    """Let the running bridge send no request for a time; rules go on, requests are held."""
    body = {"project": project, "pipeline": pipeline, "duration": length, "by": by or _user(), "note": note}
    made = _post(bridge_url, http_config, "/api/v1/pause", body)
    say(f"paused until {made['until']}: {made['scope']}")


@app.command()
def resume(
    project: Project = "",
    pipeline: Pipeline = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
) -> None:
    """End a pause before its time; name what was paused."""
    body = {"project": project, "pipeline": pipeline, "duration": "0s", "by": by or _user()}
    made = _post(bridge_url, http_config, "/api/v1/pause", body)
    say(f"goes on: {made['scope']}")
