"""`requests`: list, show and redeliver the requests of a running bridge, over its API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import typer

from bridge.cli.calls import get, post
from bridge.cli.listing import From, Limit, Output, To, period, print_listing, warn_of_more
from bridge.cli.names import (
    ModelsArgument,
    Pipeline,
    Project,
    RuleName,
    Version,
    explain_nothing,
    full_id,
    model_name,
    named,
)
from bridge.cli.options import BridgeUrl, HttpConfigFile, app
from bridge.cli.output import echo, echo_lines, warn
from bridge.cli.quick import DEFAULT_URL
from bridge.cli.usage import Commands
from bridge.domain.times import Timestamp, parse_rfc3339

requests_app = Commands(no_args_is_help=True, help="Inspect and manage the requests of a running bridge.")
app.add_typer(requests_app, name="requests")

RequestId = Annotated[str, typer.Argument(metavar="ID", help="Id of the request, or at least its first 4 digits.")]
_COLUMNS = ("id", "model", "state", "triggered", "reason")
_WIDE = ("rule", "attempt", "held until", "ended", "helped", "feedback", "actions", "message")


@requests_app.command("list")
def requests_list(
    models: ModelsArgument = "",
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    project: Project = "",
    pipeline: Pipeline = "",
    version: Version = "",
    rule: RuleName = "",
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="Only held, awaiting_approval, requested, accepted, running, succeeded, failed, cancelled, withdrawn, "
            "expired, undelivered ...; repeatable.",
        ),
    ] = None,
    since: From = "",
    until: To = "",
    limit: Limit = 50,
    output: Output = "table",
) -> None:
    """List the latest requests, newest first."""
    names = named(models, project, pipeline, version)
    parameters = {"limit": limit, "state": state, **names, "rule": rule, **period(since, until)}
    data = get(bridge_url, http_config, "requests", parameters)
    found = data["requests"]
    if not found:
        explain_nothing(bridge_url, http_config, names, rule)
    rows = [
        {
            **item, "model": model_name(item), "triggered": item["triggered_at"], "held until": item["hold_until"],
            "ended": item["ended_at"], "helped": item["verdict"], "state": state_text(item["state"], item["hold"]),
            "actions": "; ".join(f"{act['what']} by {act['who']}" for act in item["acts"]),
        }
        for item in found
    ]  # fmt: skip
    print_listing(found, rows, _COLUMNS, _WIDE, output, "no requests")
    warn_of_more("requests", len(found), data["next"])


def state_text(state: str, hold: str | None) -> str:
    """Return the state, and the gate that holds the request unless the state says it."""
    return f"{state} ({hold})" if hold and state == "held" else state


@requests_app.command("show", short_help="Show one request with its reason and deliveries.")
def requests_show(
    request_id: RequestId,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Output format.")] = "text",
) -> None:
    """Show one request: its reason, the gate that holds it, its deliveries with their next attempts, runs, feedback."""
    import json

    from bridge.app import clock
    from bridge.cli.request_text import request_lines

    found = get(bridge_url, http_config, _path(bridge_url, http_config, request_id))
    if output == "json":
        echo_lines(json.dumps(found, indent=2))
        return
    for line in request_lines(found, clock.now()):
        echo(line)


@requests_app.command("deliveries", short_help="List the deliveries that wait or are dead.")
def requests_deliveries(
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    limit: Limit = 100,
    output: Output = "table",
) -> None:
    """List the deliveries that wait for an attempt or are dead, oldest first, with the reason and the next attempt."""
    from bridge.app import clock
    from bridge.cli.delivery_text import discard_lines

    found = get(bridge_url, http_config, "deliveries", {"limit": limit})["deliveries"]
    now = clock.now()
    rows = [
        {
            **item, "request": item["request_id"], "next attempt": _next(item, now),
            "response": item["answer"], "status": item["status"] or None, "queued": item["queued_at"],
        }
        for item in found
    ]  # fmt: skip
    columns = ("request", "destination", "state", "attempts", "next attempt", "reason", "status")
    print_listing(found, rows, columns, ("kind", "queued", "response"), output, "no delivery waits, and none is dead")
    for line in discard_lines(found):
        warn(line)


@requests_app.command("retry", short_help="Immediately retry the deliveries of a request.")
def requests_retry(
    request_id: RequestId, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None
) -> None:
    """Immediately retry the deliveries of a request that are waiting to be retried."""
    from bridge.app import clock
    from bridge.cli.delivery_text import discard_lines, is_unserved, not_retried

    path = _path(bridge_url, http_config, request_id)
    count = post(bridge_url, http_config, f"{path}/retry")["retried"]
    none = "no delivery retried: none to a configured destination waits for a later attempt"
    echo(f"{count} deliver{'y' if count == 1 else 'ies'} retried" if count else none)
    request = get(bridge_url, http_config, path)
    left_out = [item for item in request["deliveries"] if not count or is_unserved(item)]
    for line in [*not_retried(request, left_out, clock.now()), *discard_lines(left_out)]:
        echo(f"  {line}")


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
    path = _path(bridge_url, http_config, request_id)
    query = f"?{urlencode({'destination': destination})}" if destination else ""
    count = post(bridge_url, http_config, f"{path}/redrive{query}")["redriven"]
    if not count:
        deliveries = get(bridge_url, http_config, path)["deliveries"]
        dead = ", ".join(sorted({item["destination"] for item in deliveries if item["state"] == "dead"}))
        whose = f"this request to {destination!r}" if destination else "this request"
        warn(f"nothing requeued: no delivery of {whose} is dead" + (f"; dead: {dead}" if dead else ""))
        raise typer.Exit(1)
    echo(f"{count} deliver{'y' if count == 1 else 'ies'} requeued")


def _next(delivery: Mapping[str, Any], now: Timestamp) -> str | None:
    """Return when the next attempt of a delivery is made; None if none follows."""
    from bridge.cli.delivery_text import REMOVED, is_unserved

    if is_unserved(delivery):
        return REMOVED
    if delivery["state"] == "dead":
        return None
    return "due" if parse_rfc3339(delivery["next_at"]) <= now else delivery["next_at"]


def _path(url: str, http_config: Path | None, request_id: str) -> str:
    return f"requests/{quote(full_id(url, http_config, request_id), safe='')}"
