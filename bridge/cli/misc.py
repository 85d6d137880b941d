"""Small commands: `strategies`, `send-test`, `healthcheck`, `version`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge import __version__
from bridge.cli.delivery_text import shown_answer
from bridge.cli.options import BridgeUrl, ConfigFile, HttpConfigFile, app
from bridge.cli.output import echo, echo_lines, warn
from bridge.cli.quick import DEFAULT_URL


@app.command(short_help="List the strategies that rules can use.")
def strategies() -> None:
    """List the strategies that rules can use, built-in and installed, with their parameters and signal columns."""
    from bridge.strategies.registry import strategies as available

    for name, strategy in available().items():
        summary = (strategy.__doc__ or "").strip().split("\n")[0]
        parameters = ", ".join(strategy.Config.model_fields) or "none"
        echo_lines(
            f"{name}\n    {summary}\n    parameters: {parameters}\n    needs: {', '.join(sorted(strategy.needs))}"
        )


@app.command("send-test", short_help="Send one marked test request to a receiver.")
def send_test(
    receiver: Annotated[
        str,
        typer.Option(metavar="NAME", help="Receiver to test; a coordinator or orchestrator starts a run."),
    ],
    config_file: ConfigFile = Path("bridge.yml"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; print the exact request of run_configs.")
    ] = False,
) -> None:
    """Send one marked test request to a receiver, at once and bypassing the outbox, and print each response."""
    from bridge.app.send_test import preview, send

    if dry_run:
        for destination, text in preview(config_file, receiver):
            echo_lines(f"{destination}:\n{text}\n")
        return
    failed = False
    for destination, delivery in send(config_file, receiver):
        failed |= delivery.result.value != "delivered"
        status = f" HTTP {delivery.status}" if delivery.status else ""
        echo(f"{destination}: {delivery.result.value} ({delivery.reason}{status}) {shown_answer(delivery.answer)!r}")
    raise typer.Exit(1 if failed else 0)


@app.command(short_help="Exit 0 if the bridge or coordinator is ready.")
def healthcheck(bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None) -> None:
    """Exit 0 if the bridge (or coordinator) at the URL is ready; for container health checks."""
    from bridge.app.client import Access, ready

    problem = ready(Access.of(bridge_url, http_config))
    if problem:
        warn(problem)
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    echo(f"retrain-bridge {__version__}")
