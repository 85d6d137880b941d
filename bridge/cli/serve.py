"""Long-running commands: `run` and `coordinator`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import AllowedHosts, ConfigFile, LogFormat, LogLevel, app, duration, positive_duration

AutoReload = Annotated[
    int,
    typer.Option(
        "--config.auto-reload-interval",
        parser=duration,
        metavar="DURATION",
        help="Reload when the configuration or a rule file changed, checked at this interval; 0s = never.",
    ),
]


@app.command()
def run(
    config_file: ConfigFile = Path("bridge.yml"),
    auto_reload: AutoReload = "0s",  # type: ignore[assignment]  # the parser turns the text into milliseconds
    storage_path: Annotated[
        Path, typer.Option("--storage.path", metavar="FOLDER", help="Folder for the database.")
    ] = Path("data"),
    storage_url_file: Annotated[
        Path | None,
        typer.Option(
            "--storage.url-file", metavar="FILE", help="File with a PostgreSQL URL, instead of --storage.path."
        ),
    ] = None,
    retention: Annotated[
        int,
        typer.Option(
            "--storage.retention.time", parser=positive_duration, metavar="DURATION", help="How long to keep history."
        ),
    ] = "90d",  # type: ignore[assignment]  # the parser turns the text into milliseconds
    fleet: Annotated[
        bool, typer.Option("--fleet", help="Run as one of several replicas on a PostgreSQL database; one evaluates.")
    ] = False,
    fleet_lease: Annotated[
        int,
        typer.Option(
            "--fleet.lease",
            metavar="DURATION",
            parser=positive_duration,
            help="Length of the lease: another replica takes over when the active one stops renewing it.",
        ),
    ] = "15s",  # type: ignore[assignment]  # the parser turns the text into milliseconds
    fleet_id: Annotated[
        str,
        typer.Option(
            "--fleet.id", metavar="NAME", help="Unique name of this replica; default: host name and random digits."
        ),
    ] = "",
    fleet_address: Annotated[
        str,
        typer.Option("--fleet.advertise-address", metavar="URL", help="URL at which other replicas reach this one."),
    ] = "",
    fleet_http_config: Annotated[
        Path | None,
        typer.Option("--fleet.http.config.file", metavar="FILE", help="http_config for requests between replicas."),
    ] = None,
    listen: Annotated[
        str, typer.Option("--web.listen-address", metavar="HOST:PORT", help="Address to listen on.")
    ] = "127.0.0.1:9095",
    external_url: Annotated[
        str,
        typer.Option(
            "--web.external-url", metavar="URL", help="URL under which users reach the web page; used in links."
        ),
    ] = "",
    allowed_hosts: AllowedHosts = None,
    grafana_url: Annotated[
        str,
        typer.Option("--web.grafana-url", metavar="URL", help="Grafana server that has the dashboards; used in links."),
    ] = "",
    prometheus_url: Annotated[
        str,
        typer.Option(
            "--web.prometheus-url", metavar="URL", help="URL of Prometheus for links.  [default: prometheus.url]"
        ),
    ] = "",
    web_config: Annotated[
        Path | None,
        typer.Option(
            "--web.config.file", metavar="FILE", help="File with TLS and basic auth (exporter-toolkit format)."
        ),
    ] = None,
    model_metrics: Annotated[
        str,
        typer.Option(
            "--web.model-metrics",
            metavar="WHICH",
            help="Models that get their own series in /metrics: auto, all, unhealthy or none.",
        ),
    ] = "auto",
    log_level: LogLevel = "info",
    log_format: LogFormat = "logfmt",
) -> None:
    """Evaluate the rules and deliver requests until SIGTERM. SIGHUP reloads the configuration and rules."""
    from bridge.app.memory import collect_rarely

    collect_rarely()  # before the other imports
    from bridge.web.http.address import require_free
    from bridge.web.http.settings import WebSettings

    url = external_url or f"http://{listen}"
    web = WebSettings(listen, url, web_config, grafana_url, prometheus_url, tuple(allowed_hosts or ()))
    require_free(web)  # before the other imports, which take seconds
    from bridge.app.logs import setup_logging
    from bridge.app.service import ServeOptions, run_service
    from bridge.app.wiring import Options

    setup_logging(log_level, log_format)
    address = fleet_address or f"http://{listen}"
    about = None
    if fleet:
        from bridge.app.fleet import FleetOptions

        about = FleetOptions(fleet_lease, fleet_id, address, fleet_http_config)
    options = Options(config_file, url, model_metrics, retention)
    raise typer.Exit(run_service(options, ServeOptions(storage_path, storage_url_file, web, auto_reload, about)))


@app.command(short_help="Run the coordinator that comes with the bridge.")
def coordinator(
    config_file: Annotated[
        Path | None, typer.Option("--config.file", metavar="FILE", help="Configuration file (coordinator.yml).")
    ] = None,
    listen: Annotated[
        str, typer.Option("--web.listen-address", metavar="HOST:PORT", help="Address to listen on.")
    ] = "",
    storage_path: Annotated[
        Path | None, typer.Option("--storage.path", metavar="FOLDER", help="Folder for the accepted requests.")
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Option("--command", metavar="WORD", help="Program to run; repeat --command for each argument."),
    ] = None,
    bridge_url: Annotated[
        str, typer.Option("--bridge.url", metavar="URL", help="Bridge that receives the status reports.")
    ] = "",
    allowed_hosts: AllowedHosts = None,
    log_level: LogLevel = "info",
    log_format: LogFormat = "logfmt",
) -> None:
    """Accept requests, run the configured command once for each, and report the states of the runs to the bridge."""
    from bridge.app.logs import setup_logging
    from bridge.coordinator.config import load_config
    from bridge.coordinator.server import run as run_coordinator

    setup_logging(log_level, log_format)
    flags = {
        "listen": listen, "storage": storage_path, "bridge_url": bridge_url, "command": command,
        "allowed_hosts": allowed_hosts,
    }  # fmt: skip
    config = load_config(config_file, {key: value for key, value in flags.items() if value})
    raise typer.Exit(run_coordinator(config))
