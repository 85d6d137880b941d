"""`requests`: list, show and redeliver the requests of a running bridge, over its API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from bridge.cli.calls import full_id, get, model_name, post
from bridge.cli.listing import Limit, Output, print_listing
from bridge.cli.options import BridgeUrl, HttpConfigFile, Pipeline, Project, RuleName, Version, app
from bridge.cli.output import echo, echo_lines
from bridge.cli.quick import DEFAULT_URL

requests_app = typer.Typer(no_args_is_help=True, help="Inspect and manage the requests of a running bridge.")
app.add_typer(requests_app, name="requests")

RequestId = Annotated[str, typer.Argument(metavar="ID", help="Id of the request, or its first digits.")]
_COLUMNS = ("id", "model", "state", "triggered", "reason")
_WIDE = ("rule", "attempt", "held until", "ended", "helped", "message")


@requests_app.command("list")
def requests_list(
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    project: Project = "",
    pipeline: Pipeline = "",
    version: Version = "",
    rule: RuleName = "",
    state: Annotated[
        list[str] | None, typer.Option("--state", metavar="STATE", help="Only this state; repeatable.")
    ] = None,
    limit: Limit = 50,
    output: Output = "table",
) -> None:
    """List the latest requests, newest first."""
    parameters = {
        "limit": limit, "state": state, "project": project, "pipeline": pipeline, "version": version, "rule": rule,
    }  # fmt: skip
    found = get(bridge_url, http_config, "requests", parameters)["requests"]
    rows = [
        {
            **item, "model": model_name(item), "triggered": item["triggered_at"], "held until": item["hold_until"],
            "ended": item["ended_at"], "helped": item["verdict"], "state": _state(item["state"], item["hold"]),
        }
        for item in found
    ]  # fmt: skip
    print_listing(found, rows, _COLUMNS, _WIDE, output, "no requests")


def _state(state: str, hold: str | None) -> str:
    """Return the state, and the gate that holds the request unless the state says it."""
    return f"{state} ({hold})" if hold and state == "held" else state


@requests_app.command("show")
def requests_show(
    request_id: RequestId, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None
) -> None:
    """Show one request with its deliveries, as JSON."""
    import json

    echo_lines(json.dumps(get(bridge_url, http_config, _path(bridge_url, http_config, request_id)), indent=2))


@requests_app.command("retry", short_help="Retry the waiting deliveries of a request at once.")
def requests_retry(
    request_id: RequestId, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None
) -> None:
    """Retry at once the deliveries of a request that wait for their next attempt."""
    count = post(bridge_url, http_config, f"{_path(bridge_url, http_config, request_id)}/retry")["retried"]
    echo(f"{count} deliver{'y' if count == 1 else 'ies'} retried")


@requests_app.command("redrive")
def requests_redrive(
    request_id: RequestId,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    destination: Annotated[
        str,
        typer.Option("--destination", metavar="NAME", help="Only this destination: receiver/integration/index."),
    ] = "",
) -> None:
    """Requeue the dead deliveries of a request."""
    query = f"?{urlencode({'destination': destination})}" if destination else ""
    count = post(bridge_url, http_config, f"{_path(bridge_url, http_config, request_id)}/redrive{query}")["redriven"]
    echo(f"{count} deliver{'y' if count == 1 else 'ies'} requeued")


def _path(url: str, http_config: Path | None, request_id: str) -> str:
    return f"requests/{quote(full_id(url, http_config, request_id), safe='')}"
