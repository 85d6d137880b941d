"""Operator commands for a running bridge: `requests approve`, `release`, ..., and `feedback`."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

import typer

from bridge.cli.calls import post, user
from bridge.cli.names import MODEL, ModelArgument, Pipeline, Project, Version, full_id, named, require_known
from bridge.cli.options import BridgeUrl, By, HttpConfigFile, Note, app
from bridge.cli.output import echo
from bridge.cli.quick import DEFAULT_URL
from bridge.cli.requests import RequestId, requests_app, state_text


def _act(action: str, request_id: str, url: str, http_config: HttpConfigFile, by: str, note: str) -> None:
    path = f"requests/{quote(full_id(url, http_config, request_id), safe='')}/{action}"
    request = post(url, http_config, path, {"by": by or user(), "note": note})
    echo(f"{request['id']}: {state_text(request['state'], request.get('hold'))}")


@requests_app.command("approve", short_help="Approve a request that awaits approval.")
def approve(
    request_id: RequestId, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Approve a request that awaits approval; the other gates still apply."""
    _act("approve", request_id, bridge_url, http_config, by, note)


@requests_app.command("release")
def release(
    request_id: RequestId, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Send a held request now, bypassing every gate."""
    _act("release", request_id, bridge_url, http_config, by, note)


@requests_app.command("withdraw", short_help="Withdraw a held request, or cancel the runs of a sent one.")
def withdraw(
    request_id: RequestId, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Withdraw a held request, or cancel the runs of a sent one; its episode makes no further request."""
    _act("withdraw", request_id, bridge_url, http_config, by, note)


@requests_app.command("cancel")
def cancel(
    request_id: RequestId, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Cancel the runs that a request started in orchestrators."""
    _act("cancel", request_id, bridge_url, http_config, by, note)


@requests_app.command("start-again", short_help="Repeat the start call of a run that cannot be found.")
def start_again(
    request_id: RequestId, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None, by: By = "",
    note: Note = "",
) -> None:  # fmt: skip
    """Repeat the start call of a run that may have been started but cannot be found."""
    _act("start-again", request_id, bridge_url, http_config, by, note)


@requests_app.command("create")
def create(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Reason, sent to the receivers.")],
    model: ModelArgument = "",
    project: Project = "",
    pipeline: Pipeline = "",
    version: Version = "",
    force: Annotated[
        bool, typer.Option("--force", help="Bypass every gate, and accept a model that no signal has reported.")
    ] = False,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
) -> None:
    """Request a retraining by hand."""
    names = named(model, project, pipeline, version, form=MODEL)
    if not force:
        require_known(bridge_url, http_config, names, force=False)
    body = {**names, "reason": reason, "force": force, "by": by or user()}
    request = post(bridge_url, http_config, "requests", body)
    why = f": {request['message']}" if request.get("message") else ""
    echo(f"{request['id']}: {request['state']}{why}")


@app.command(short_help="Record whether a request was useful, false or late.")
def feedback(
    request_id: RequestId,
    opinion: Annotated[
        Literal["useful", "false", "late"],
        typer.Argument(
            metavar="OPINION",
            help="useful; false: no retraining was needed; late: a retraining was needed earlier.",
        ),
    ],
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    by: By = "",
    note: Note = "",
) -> None:
    """Record whether a request was useful, false or late; the latest opinion counts."""
    path = f"requests/{quote(full_id(bridge_url, http_config, request_id), safe='')}/feedback"
    body = {"feedback": opinion, "by": by or user(), "note": note}
    request = post(bridge_url, http_config, path, body)
    echo(f"{request['id']}: {request['feedback']}")
