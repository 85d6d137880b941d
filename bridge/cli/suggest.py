"""`rules suggest`: which rule packs fit a Prometheus."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from bridge.cli.options import HttpConfigFile, app, positive_duration
from bridge.cli.saying import say, say_lines

if TYPE_CHECKING:
    from bridge.authoring.suggest.suggest import Suggestion
    from bridge.domain.rule import ModelLabels
    from bridge.sources.prometheus import PrometheusSource

rules_app = typer.Typer(no_args_is_help=True, help="Rules to begin with.")
app.add_typer(rules_app, name="rules")

_MARKS = {"found": "yes", "silent": "?  "}


@rules_app.command("suggest")
def suggest_command(
    url: Annotated[str, typer.Option("--prometheus", "--prometheus.url", help="The server to look at.")] = "",
    config_file: Annotated[
        Path | None, typer.Option("--config.file", help="Instead: the Prometheus and the model labels of a bridge.yml.")
    ] = None,
    http_config: HttpConfigFile = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write the rule file there.")] = None,
    project: Annotated[
        str, typer.Option("--project", help="A label that names the project, where packs have a constant one.")
    ] = "",
    lookback: Annotated[
        int, typer.Option("--lookback", parser=positive_duration, help="Metrics that were there in this time.")
    ] = "1d",  # type: ignore[assignment] # the parser makes it a number
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Say which rule packs fit the metrics of a Prometheus, and print their rules. Exit 1 when none does."""
    from bridge.app import clock
    from bridge.authoring.suggest.suggest import suggest
    from bridge.net.redact import redact_url

    logging.getLogger("bridge").addHandler(logging.NullHandler())  # what it would say of series is in the answer
    source, models, server = _source(url, config_file, http_config)
    with closing(source):
        found = suggest(source, redact_url(server), clock.now(), models=models, lookback=lookback, project=project)
    if output is not None and found.rules:
        output.write_text(found.rules, encoding="utf-8")
    if as_json:
        say_lines(json.dumps({"prometheus": redact_url(server), **found.to_json()}, indent=2))
    else:
        # what can be piped on is alone on stdout
        _say(found, redact_url(server), output, sys.stdout if output is not None else sys.stderr)
        if output is None and found.rules:
            say_lines(found.rules)
    if not found.rules:
        raise typer.Exit(1)


def _source(url: str, config_file: Path | None, http_config: Path | None) -> tuple[PrometheusSource, ModelLabels, str]:
    """The server, how series name a model there, and its URL. Raises ConfigError."""
    from bridge.config.load import load
    from bridge.domain.errors import ConfigError
    from bridge.domain.model import ModelTable
    from bridge.domain.rule import ModelLabels
    from bridge.files.shape import checked
    from bridge.files.yaml import Document, read
    from bridge.sources.prometheus import PrometheusConfig, PrometheusSource

    if bool(url) == (config_file is not None):
        raise typer.BadParameter("give --prometheus, or --config.file")
    if config_file is not None:
        config = load(config_file)
        timeout = config.global_.query_timeout / 1000
        source = PrometheusSource(config.prometheus, ModelTable(), config.base_dir, timeout=timeout)
        return source, config.models, config.prometheus.url
    document = Document("--prometheus", {}) if http_config is None else read(http_config)
    settings = checked(PrometheusConfig, {"url": url, **(document.value or {})}, document, ())
    if settings is None:
        raise ConfigError(document.problems)
    base_dir = Path() if http_config is None else http_config.parent
    return PrometheusSource(settings, ModelTable(), base_dir), ModelLabels(), settings.url


def _say(found: Suggestion, url: str, output: Path | None, out: TextIO) -> None:
    def line(text: str = "") -> None:
        say(text, out)

    for pack in found.packs:
        line(f"{pack.name}: {pack.server}, by {', '.join(pack.metrics)}")
        for signal in pack.signals:
            advice = f" ({signal.advice})" if signal.advice else ""
            line(f"  {_MARKS.get(signal.state, 'NO ')} {signal.name}: {signal.text}{advice}")
    if not found.packs:
        line(f"no rule pack fits: {url} knows {found.metrics} metrics, and none is of a model server that has one")
    for note in found.notes:
        line(f"note: {note}")
    if found.candidates:
        line("no pack knows these, which look like signals of models (docs/rules.md says how to write one):")
    for item in found.candidates:
        line(f"  {item.metric}: {item.kind}{'' if item.labelled else ', without the labels of a model'}")
        if item.labelled:
            line(f"      {item.expr}")
    if found.rules:
        count = len(found.packs)
        what = f"rules of {count} pack{'s' if count > 1 else ''}"
        line(f"{what}: {output}" if output is not None else f"{what} follow")
