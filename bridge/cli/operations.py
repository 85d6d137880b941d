"""Operator commands for a running bridge: `requests approve`, `release`, ..., `feedback`, `pause` and `resume`."""

from __future__ import annotations

import getpass
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bridge.cli.options import BridgeUrl, HttpConfigFile, app
from bridge.cli.output import echo
from bridge.cli.quick import DEFAULT_URL
from bridge.cli.requests import requests_app
from bridge.domain.request import Feedback

Note = Annotated[str, typer.Option("--note", help="Reason to record with the action.")]
By = Annotated[str, typer.Option("--by", help="Name to record with the action, if the bridge has no users.")]
Project = Annotated[str, typer.Option(help="Limit to this project.")]
Pipeline = Annotated[str, typer.Option(help="Limit to this pipeline (needs --project).")]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no entry for the user id
        return ""


def _post(url: str, http_config: HttpConfigFile, path: str, body: dict[str, Any]) -> Any:
    from bridge.app.client import Access, call_api

    return call_api(Access.of(url, http_config), path, "POST", body)


def _act(action: str, request_id: str, url: str, http_config: HttpConfigFile, by: str, note: str) -> None:
    path = f"/api/v1/requests/{quote(request_id, safe='')}/{action}"
    request = _post(url, http_config, path, {"by": by or _user(), "note": note})
    held = f", held: {request['hold']}" if request.get("hold") else ""
    echo(f"{request['id']}: {request['state']}{held}")


@requests_app.command("approve")
def approve(
    request_id: str, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Approve a request that awaits approval; the other gates still apply."""
    _act("approve", request_id, bridge_url, http_config, by, note)


@requests_app.command("release")
def release(
    request_id: str, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Send a held request now, bypassing every gate."""
    _act("release", request_id, bridge_url, http_config, by, note)


@requests_app.command("withdraw")
def withdraw(
    request_id: str, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Withdraw a held request, or cancel its runs; its episode makes no further request."""
    _act("withdraw", request_id, bridge_url, http_config, by, note)


@requests_app.command("cancel")
def cancel(
    request_id: str, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Cancel the runs that a request started in orchestrators."""
    _act("cancel", request_id, bridge_url, http_config, by, note)


@requests_app.command("create")
def create(
    project: Annotated[str, typer.Option(help="Project of the model.")],
    pipeline: Annotated[str, typer.Option(help="Pipeline of the model.")],
    version: Annotated[str, typer.Option(help="Version of the model.")],
    reason: Annotated[str, typer.Option(help="Reason, sent to the receivers.")],
    force: Annotated[bool, typer.Option("--force", help="Bypass closed gates.")] = False,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
) -> None:
    """Request a retraining by hand."""
    body = {"project": project, "pipeline": pipeline, "version": version, "reason": reason, "force": force}
    request = _post(bridge_url, http_config, "/api/v1/requests", {**body, "by": by or _user()})
    echo(f"{request['id']}: {request['state']}")


@app.command()
def feedback(
    request_id: str,
    opinion: Annotated[Feedback, typer.Argument(help="false: no retraining was needed. late: needed it earlier.")],
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
    note: Note = "",
) -> None:
    """Record whether a request was useful, false or late; the latest opinion counts."""
    path = f"/api/v1/requests/{quote(request_id, safe='')}/feedback"
    body = {"feedback": opinion.value, "by": by or _user(), "note": note}
    request = _post(bridge_url, http_config, path, body)
    echo(f"{request['id']}: {request['feedback']}")


@app.command()
def pause(
    length: Annotated[str, typer.Option("--for", help="Length of the pause, such as 2h; at most 30d.")] = "1d",
    project: Project = "",
    pipeline: Pipeline = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
    note: Note = "",
) -> None:
    """Pause sending for a while; rules are still evaluated, and new requests are held."""
    body = {"project": project, "pipeline": pipeline, "duration": length, "by": by or _user(), "note": note}
    created = _post(bridge_url, http_config, "/api/v1/pause", body)
    echo(f"paused until {created['until']}: {created['scope']}")


@app.command()
def resume(
    project: Project = "",
    pipeline: Pipeline = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
) -> None:
    """End a pause early; give the project and pipeline that the pause has."""
    body = {"project": project, "pipeline": pipeline, "duration": "0s", "by": by or _user()}
    ended = _post(bridge_url, http_config, "/api/v1/pause", body)
    echo(f"resumed: {ended['scope']}")
