"""`requests`: list, show and redeliver the requests of a running bridge, over its API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from bridge.cli.options import BridgeUrl, HttpConfigFile, app
from bridge.cli.output import cells, echo, echo_lines
from bridge.cli.quick import DEFAULT_URL

requests_app = typer.Typer(no_args_is_help=True, help="Inspect and manage the requests of a running bridge.")
app.add_typer(requests_app, name="requests")


def _api(url: str, http_config: Path | None, path: str, method: str = "GET") -> Any:
    from bridge.app.client import Access, call_api

    return call_api(Access.of(url, http_config), path, method)


@requests_app.command("list")
def requests_list(
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    state: Annotated[str, typer.Option(help="List only requests in this state.")] = "",
    limit: Annotated[int, typer.Option(help="Maximum number of requests.")] = 50,
) -> None:
    """List the latest requests, newest first."""
    from rich.console import Console
    from rich.table import Column, Table

    parameters = {"limit": limit, **({"state": state} if state else {})}
    path = f"/api/v1/requests?{urlencode(parameters)}"
    rows = _api(bridge_url, http_config, path)["requests"]
    table = Table(Column("id", no_wrap=True, min_width=32), "model", "state", "triggered at", "reason")
    for row in rows:
        model = f"{row['project']}/{row['pipeline']}/{row['version']}"
        table.add_row(*cells((row["id"], model, row["state"], row["triggered_at"], row["reason"])))
    if rows:
        Console().print(table)
    else:
        echo("no requests")


@requests_app.command("show")
def requests_show(request_id: str, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None) -> None:
    """Show one request with its deliveries, as JSON."""
    import json

    echo_lines(json.dumps(_api(bridge_url, http_config, f"/api/v1/requests/{quote(request_id, safe='')}"), indent=2))


@requests_app.command("retry")
def requests_retry(request_id: str, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None) -> None:
    """Retry at once the deliveries of a request that wait for their next attempt."""
    count = _api(bridge_url, http_config, f"/api/v1/requests/{quote(request_id, safe='')}/retry", "POST")["retried"]
    echo(f"{count} deliver{'y' if count == 1 else 'ies'} retried")


@requests_app.command("redrive")
def requests_redrive(
    request_id: str,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    destination: Annotated[str, typer.Option(help="Only this destination: receiver/integration/index.")] = "",
) -> None:
    """Requeue the dead deliveries of a request."""
    path = f"/api/v1/requests/{quote(request_id, safe='')}/redrive" + (
        f"?{urlencode({'destination': destination})}" if destination else ""
    )
    count = _api(bridge_url, http_config, path, "POST")["redriven"]
    echo(f"{count} deliver{'y' if count == 1 else 'ies'} requeued")
