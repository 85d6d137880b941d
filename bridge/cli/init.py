"""`init`: write a first configuration from what a Prometheus holds."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.options import HttpConfigFile, InspectedUrl, Lookback, ProjectLabel, app
from bridge.cli.output import echo, log_to_stderr, warn, write_file

if TYPE_CHECKING:
    from bridge.authoring.suggest.first_config import FirstConfig


@app.command("init", short_help="Write a first bridge.yml and rule files.")
def init_command(
    url: InspectedUrl,
    output: Annotated[
        Path, typer.Option("--output", metavar="FOLDER", help="Folder to write to; files in it are not replaced.")
    ] = Path(),
    http_config: HttpConfigFile = None,
    project: ProjectLabel = "",
    lookback: Lookback = "1d",  # type: ignore[assignment] # the parser makes it a number
) -> None:
    """Write a first bridge.yml and rule files from the metrics of a Prometheus. Exits 1 if no rule can be made."""
    from bridge.app import clock
    from bridge.authoring.suggest.first_config import first_config
    from bridge.cli.suggest import source_at
    from bridge.files.yaml import read

    log_to_stderr(quiet=True)  # the output already reports skipped series
    source, _, server = source_at(url, None, http_config)
    http = {} if http_config is None else read(http_config).value
    with closing(source):
        found = first_config(source, server, clock.now(), http=http, lookback=lookback, project=project)
    if not found.files:
        warn(f"{server} has {found.suggestion.metrics} metrics, and none of them looks like a signal of a model")
        raise typer.Exit(1)
    _write(found, output)
    _report(found, output)


def _write(found: FirstConfig, folder: Path) -> None:
    """Write the files. Exits 1 where one of them is there already."""
    there = [str(folder / name) for name in found.files if (folder / name).exists()]
    if there:
        warn(f"not replaced: {', '.join(there)}; set --output to another folder")
        raise typer.Exit(1)
    for name, text in found.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text)


def _report(found: FirstConfig, folder: Path) -> None:
    for pack in found.suggestion.packs:
        used = [signal for signal in pack.signals if signal.used]
        echo(f"{pack.name}: {pack.server}, {len(used)} of {len(pack.signals)} signals")
    for rule in found.rules:
        echo(f"{rule.metric}: {rule.models} model{'s' if rule.models > 1 else ''}, rule {rule.name}")
    for note in found.notes:
        echo(f"note: {note}")
    echo(f"written: {', '.join(str(folder / name) for name in found.files)}")
    config = folder / "bridge.yml"
    echo(f"next: retrain-bridge check config --ask-prometheus {config}; retrain-bridge run --config.file={config}")
