"""The command line: promtool's and amtool's words. Exit codes: 0 done, 1 something is wrong, 2 wrong usage.

Commands import what they need when they run, so that `healthcheck` and `version` start fast.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from bridge import __version__
from bridge.domain.errors import BridgeError, ConfigError, Problem
from bridge.domain.times import parse_duration

DEFAULT_URL = "http://127.0.0.1:9095"

app = typer.Typer(
    name="retrain-bridge", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="From a bad metric in Prometheus to one durable, explained request to retrain the right model.",
)  # fmt: skip
check_app = typer.Typer(no_args_is_help=True, help="Check files without running anything.")
requests_app = typer.Typer(no_args_is_help=True, help="Requests of a running bridge.")
app.add_typer(check_app, name="check")
app.add_typer(requests_app, name="requests")

ConfigFile = Annotated[Path, typer.Option("--config.file", help="The configuration, bridge.yml.")]
LogLevel = Annotated[str, typer.Option("--log.level", help="debug, info, warn or error.")]
LogFormat = Annotated[str, typer.Option("--log.format", help="logfmt or json.")]
HttpConfigFile = Annotated[
    Path | None, typer.Option("--http.config.file", help="How to reach it: a file with one http_config.")
]
BridgeUrl = Annotated[str, typer.Option("--bridge.url", help="Where the running bridge listens.")]


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def main() -> None:
    """Entry point: every error that we know is one clear message, not a traceback."""
    try:
        app()
    except ConfigError as error:
        _print_problems(error.problems)
        sys.exit(1)
    except (BridgeError, OSError) as error:
        print(f"retrain-bridge: {error}", file=sys.stderr)
        sys.exit(1)


@app.command()
def run(
    config_file: ConfigFile = Path("bridge.yml"),
    storage_path: Annotated[Path, typer.Option("--storage.path", help="Folder of the database.")] = Path("data"),
    storage_url_file: Annotated[
        Path | None, typer.Option("--storage.url-file", help="File with a PostgreSQL URL, instead of --storage.path.")
    ] = None,
    retention: Annotated[
        int, typer.Option("--storage.retention.time", parser=_duration, help="How long history is kept.")
    ] = "90d",  # type: ignore[assignment]  # the parser turns the text into milliseconds
    listen: Annotated[str, typer.Option("--web.listen-address", help="HOST:PORT.")] = "127.0.0.1:9095",
    external_url: Annotated[
        str, typer.Option("--web.external-url", help="Where people reach this page; used in links.")
    ] = "",
    web_config: Annotated[
        Path | None, typer.Option("--web.config.file", help="TLS and basic auth, exporter-toolkit's format.")
    ] = None,
    model_metrics: Annotated[
        str, typer.Option("--web.model-metrics", help="Series per model: auto, all, unhealthy or none.")
    ] = "auto",
    log_level: LogLevel = "info",
    log_format: LogFormat = "logfmt",
) -> None:
    """Evaluate the rules and deliver requests, until SIGTERM. SIGHUP reloads the files."""
    from bridge.app.logs import setup_logging
    from bridge.app.service import ServeOptions, run_service
    from bridge.app.wiring import Options
    from bridge.web.settings import WebSettings

    setup_logging(log_level, log_format)
    url = external_url or f"http://{listen}"
    web = WebSettings(listen=listen, external_url=url, web_config_file=web_config)
    options = Options(config_file, url, model_metrics, retention)
    raise typer.Exit(run_service(options, ServeOptions(storage_path, storage_url_file, web)))


# ---------------------------------------------------------------- check


@check_app.command("config")
def check_config_command(
    files: Annotated[list[Path], typer.Argument(help="Configuration files.")],
    ask_prometheus: Annotated[
        bool, typer.Option("--ask-prometheus", help="Ask the configured Prometheus every expression once, too.")
    ] = False,
) -> None:
    """Check bridge.yml and every rule file that it names."""
    from bridge.authoring.check import check_config

    problems = [problem for file in files for problem in check_config(file)]
    if ask_prometheus and not problems:
        from bridge.app import clock
        from bridge.authoring import online

        problems = [problem for file in files for problem in online.ask_prometheus(file, clock.now())]
    _report(files, problems)


@check_app.command("rules")
def check_rules_command(files: Annotated[list[Path], typer.Argument(help="Rule files.")]) -> None:
    """Check rule files by themselves."""
    from bridge.authoring.check import check_rules

    _report(files, check_rules(files))


def _report(files: list[Path], problems: list[Problem]) -> None:
    _print_problems(problems)
    if problems:
        raise typer.Exit(1)
    for file in files:
        print(f"{file}: SUCCESS")


def _print_problems(problems: list[Problem]) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found", file=sys.stderr)


# ---------------------------------------------------------------- requests


def _api(url: str, http_config: Path | None, path: str, method: str = "GET") -> Any:
    from bridge.app.client import Access, ask

    return ask(Access.of(url, http_config), path, method)


@requests_app.command("list")
def requests_list(
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    state: Annotated[str, typer.Option(help="Only this state.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
) -> None:
    """The latest requests, newest first."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    wanted = {"limit": limit, **({"state": state} if state else {})}
    path = f"/api/v1/requests?{urlencode(wanted)}"
    rows = _api(bridge_url, http_config, path)["requests"]
    table = Table(Column("id", no_wrap=True, min_width=32), "model", "state", "triggered at", "reason")
    for row in rows:
        model = f"{row['project']}/{row['pipeline']}/{row['version']}"
        table.add_row(
            *(Text(str(cell)) for cell in (row["id"], model, row["state"], row["triggered_at"], row["reason"]))
        )
    Console().print(table) if rows else print("no requests")


@requests_app.command("show")
def requests_show(request_id: str, bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None) -> None:
    """One request with its deliveries, as JSON."""
    import json

    print(json.dumps(_api(bridge_url, http_config, f"/api/v1/requests/{quote(request_id, safe='')}"), indent=2))


@requests_app.command("redrive")
def requests_redrive(
    request_id: str,
    bridge_url: BridgeUrl = DEFAULT_URL,
    http_config: HttpConfigFile = None,
    destination: Annotated[str, typer.Option(help="Only this receiver/integration/index.")] = "",
) -> None:
    """Queue the dead deliveries of a request again."""
    path = f"/api/v1/requests/{quote(request_id, safe='')}/redrive" + (
        f"?{urlencode({'destination': destination})}" if destination else ""
    )
    count = _api(bridge_url, http_config, path, "POST")["redriven"]
    print(f"{count} deliver{'y' if count == 1 else 'ies'} queued again")


# ---------------------------------------------------------------- the rest


@app.command()
def coordinator(
    config_file: Annotated[Path | None, typer.Option("--config.file", help="coordinator.yml.")] = None,
    listen: Annotated[str, typer.Option("--web.listen-address", help="HOST:PORT.")] = "",
    storage_path: Annotated[Path | None, typer.Option("--storage.path", help="Folder of the ledger.")] = None,
    command: Annotated[
        list[str] | None, typer.Option("--command", help="Program, and each argument again with --command.")
    ] = None,
    bridge_url: Annotated[str, typer.Option("--bridge.url", help="Where status reports are sent.")] = "",
    log_level: LogLevel = "info",
    log_format: LogFormat = "logfmt",
) -> None:
    """The embedded coordinator: takes requests, runs the configured command once for each, reports back."""
    from bridge.app.logs import setup_logging
    from bridge.coordinator.config import load_config
    from bridge.coordinator.server import run as run_coordinator

    setup_logging(log_level, log_format)
    flags = {"listen": listen, "storage": storage_path, "bridge_url": bridge_url, "command": command}
    config = load_config(config_file, {key: value for key, value in flags.items() if value})
    raise typer.Exit(run_coordinator(config))


@app.command()
def strategies() -> None:
    """The strategies that rules can name, shipped and installed, with their parameters."""
    from bridge.strategies.registry import strategies as known

    for name, strategy in known().items():
        idea = (strategy.__doc__ or "").strip().split("\n")[0]
        parameters = ", ".join(strategy.Config.model_fields) or "none"
        print(f"{name}\n    {idea}\n    parameters: {parameters}\n    needs: {', '.join(sorted(strategy.needs))}")


@app.command("send-test")
def send_test(
    receiver: Annotated[str, typer.Option(help="The receiver to try; a coordinator will really be asked.")],
    config_file: ConfigFile = Path("bridge.yml"),
) -> None:
    """Send one marked test request to a receiver, at once and past the outbox, and say what it answered."""
    from bridge.app.send_test import send

    failed = False
    for destination, delivery in send(config_file, receiver):
        failed |= delivery.result.value != "delivered"
        status = f" HTTP {delivery.status}" if delivery.status else ""
        print(f"{destination}: {delivery.result.value} ({delivery.reason}{status}) {delivery.answer[:200]!r}")
    raise typer.Exit(1 if failed else 0)


@app.command()
def healthcheck(bridge_url: BridgeUrl = DEFAULT_URL, http_config: HttpConfigFile = None) -> None:
    """Exit 0 when the bridge (or coordinator) at the URL is ready; for containers."""
    from bridge.app.client import Access, ready

    problem = ready(Access.of(bridge_url, http_config))
    if problem:
        print(problem, file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    print(f"retrain-bridge {__version__}")


if __name__ == "__main__":
    main()
