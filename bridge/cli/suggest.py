"""`rules suggest`: find the rule packs that fit a Prometheus."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from bridge.cli.options import HttpConfigFile, InspectedUrl, Lookback, ProjectLabel, app
from bridge.cli.output import echo, echo_lines, log_to_stderr, warn_of_silence, write_file
from bridge.cli.usage import Commands

if TYPE_CHECKING:
    from bridge.authoring.suggest.suggest import Suggestion
    from bridge.domain.rule import ModelLabels
    from bridge.sources.prometheus import PrometheusSource

rules_app = Commands(no_args_is_help=True, help="Suggest rules, or list the rules of a running bridge.")
app.add_typer(rules_app, name="rules")

_MARKS = {"found": "yes", "silent": "?  "}


@rules_app.command("suggest", short_help="Find the rule packs that fit a Prometheus server.")
def suggest_command(
    url: InspectedUrl = "",
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config.file", metavar="FILE", help="Use Prometheus and model labels of this bridge.yml instead."
        ),
    ] = None,
    http_config: HttpConfigFile = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write the rules to this file.")
    ] = None,
    project: ProjectLabel = "",
    lookback: Lookback = "1d",  # type: ignore[assignment] # the parser makes it a number
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Find the rule packs that fit the metrics of a Prometheus, and print their rules. Exits 1 if none fits."""
    from bridge.app import clock
    from bridge.authoring.suggest.suggest import suggest
    from bridge.net.redact import redact_url

    log_to_stderr(quiet=True)  # the output already reports skipped series
    source, models, server = source_at(url, config_file, http_config)
    with closing(source):
        suggestion = suggest(source, redact_url(server), clock.now(), models=models, lookback=lookback, project=project)
    if output is not None and suggestion.rules:
        write_file(output, suggestion.rules)
    if as_json:
        echo_lines(json.dumps({"prometheus": redact_url(server), **suggestion.to_json()}, indent=2))
    else:
        # stdout holds only the rules, so that it can be piped
        _print(suggestion, redact_url(server), output, sys.stdout if output is not None else sys.stderr)
        if output is None and suggestion.rules:
            echo_lines(suggestion.rules)
    if not suggestion.rules:
        raise typer.Exit(1)


def source_at(
    url: str, config_file: Path | None, http_config: Path | None
) -> tuple[PrometheusSource, ModelLabels, str]:
    """Return the source, the labels that identify a model, and the server's URL. Raises ConfigError."""
    from bridge.config.load import load
    from bridge.domain.errors import ConfigError
    from bridge.domain.model import ModelTable
    from bridge.domain.rule import ModelLabels
    from bridge.files.validation import checked
    from bridge.files.yaml import Document, read
    from bridge.sources.config import PrometheusConfig, url_of_flag
    from bridge.sources.prometheus import PrometheusSource

    if bool(url) == (config_file is not None):
        raise typer.BadParameter("set either --prometheus or --config.file")
    if config_file is not None:
        config = load(config_file)
        timeout = config.global_.query_timeout / 1000
        source = PrometheusSource(
            config.prometheus, ModelTable(), config.base_dir, timeout=timeout, report=warn_of_silence
        )
        return source, config.models, config.prometheus.url
    document = Document("--prometheus", {}) if http_config is None else read(http_config)
    named = {"url": url_of_flag("--prometheus", url)}
    settings = checked(PrometheusConfig, {**named, **(document.value or {})}, document, ())
    if settings is None:
        raise ConfigError(document.problems)
    base_dir = Path() if http_config is None else http_config.parent
    source = PrometheusSource(settings, ModelTable(), base_dir, report=warn_of_silence)
    return source, ModelLabels(), settings.url


def _print(suggestion: Suggestion, url: str, output: Path | None, out: TextIO) -> None:
    from bridge.authoring.suggest.mappings import mapping_text
    from bridge.authoring.suggest.run_receivers import run_receivers

    def line(text: str = "") -> None:
        echo(text, out)

    for pack in suggestion.packs:
        line(f"{pack.name}: {pack.server}, found by {', '.join(pack.metrics)}")
        for signal in pack.signals:
            advice = f" ({signal.advice})" if signal.advice else ""
            line(f"  {_MARKS.get(signal.state, 'NO ')} {signal.name}: {signal.text}{advice}")
    if not suggestion.packs:
        line(f"no rule pack fits: {url} has {suggestion.metrics} metrics, none of a model server with a rule pack")
    for note in suggestion.notes:
        line(f"note: {note}")
    if suggestion.candidates:
        line("other metrics that look like model signals, but have no pack (docs/rules.md: how to write a rule):")
    for item in suggestion.candidates:
        models = "" if item.mapping is None else f", models: {{labels: {mapping_text(item.mapping)}}}"
        line(f"  {item.metric}: {item.kind}{models if item.labelled else ', without model labels'}")
        if item.labelled:
            line(f"      {item.expr}")
    if suggestion.rules:
        count = len(suggestion.packs)
        title = f"rules of {count} pack{'s' if count > 1 else ''}"
        line(f"{title}: {output}" if output is not None else f"{title} follow")
        line(f"receivers that start runs (run_configs): {', '.join(run_receivers())}")
