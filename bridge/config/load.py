"""Loader of bridge.yml with all its rule files."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from bridge.config.bridge_file import BridgeFile, GlobalSection, read_bridge_file
from bridge.config.distinct import told_apart
from bridge.config.kubernetes import chosen
from bridge.config.rule_file import Defaults, read_rule_file
from bridge.config.shown import shown
from bridge.domain.errors import HTTP2, ConfigError, Problem
from bridge.domain.route import Route
from bridge.domain.rule import Gates, Group, ModelLabels
from bridge.domain.times import Duration
from bridge.files.yaml import Document, path_text, read, read_several
from bridge.sources.config import PrometheusConfig


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """Checked configuration.

    base_dir: folder of bridge.yml, to which paths in it are relative.
    notes: keys that are taken and have no effect.
    """

    global_: GlobalSection
    prometheus: PrometheusConfig
    models: ModelLabels
    retire_after: Duration
    dry_run: bool
    groups: tuple[Group, ...]
    route: Route
    receivers: Mapping[str, tuple[tuple[str, BaseModel], ...]]
    gates: Gates
    base_dir: Path
    rule_paths: tuple[Path, ...]
    notes: tuple[Problem, ...]
    _shown: str

    def redacted(self) -> str:
        """Return bridge.yml in force as YAML; secrets are `<secret>`, defaults are spelled out."""
        return self._shown


def load(path: Path) -> BridgeConfig:
    """Read `path` and its rule files. ConfigError with every problem of all of them."""
    document = read(path)
    file = read_bridge_file(document)
    base_dir = path.parent
    paths, groups = _rule_files(file, document, base_dir)
    if document.problems or file is None:
        raise ConfigError(document.problems)
    return BridgeConfig(
        global_=file.section.global_,
        prometheus=file.section.prometheus,
        models=file.section.models.over(ModelLabels()),
        retire_after=file.section.models.retire_after,
        dry_run=file.section.dry_run,
        groups=groups,
        route=file.route,
        receivers=file.receivers,
        gates=file.gates,
        base_dir=base_dir,
        rule_paths=paths,
        notes=tuple(_notes(document)),
        _shown=shown(file),
    )


def _notes(document: Document) -> Iterator[Problem]:
    for place, line in document.lines.items():
        if place[-1:] == ("enable_http2",) and document.at(place) is True:
            message = "has no effect: the bridge speaks HTTP/1.1, which HTTP/2 servers answer too"
            yield Problem(document.file, line, path_text(place), message, "", HTTP2)


def load_rules(
    paths: Iterable[Path], *, interval: Duration | None = None, offset: Duration | None = None
) -> tuple[Group, ...]:
    """Return the groups of rule files, with the defaults of an empty bridge.yml. Raises ConfigError.

    interval, offset: of groups that set none; None = as in an empty bridge.yml.
    """
    problems: list[Problem] = []
    defaults = _defaults(None)
    defaults.interval = defaults.interval if interval is None else interval
    defaults.offset = defaults.offset if offset is None else offset
    groups = _read_all(paths, defaults, problems)
    if problems:
        raise ConfigError(problems)
    return groups


def check_rules(paths: Iterable[Path]) -> list[Problem]:
    """Return the problems of rule files, with the defaults of an empty bridge.yml."""
    problems: list[Problem] = []
    _read_all(paths, _defaults(None), problems)
    return sorted(problems)


def _rule_files(
    file: BridgeFile | None, document: Document, base_dir: Path
) -> tuple[tuple[Path, ...], tuple[Group, ...]]:
    """Return the rule files that the globs name, in order, and their groups; problems go to `document`."""
    defaults = _defaults(file)
    paths: dict[Path, None] = {}
    for number, pattern in enumerate(file.section.rule_files if file is not None else ()):
        found = sorted(glob.glob(pattern, root_dir=base_dir, recursive=True))  # noqa: PTH207 - patterns may be absolute
        if not found:
            message = f"no file matches {pattern!r}"
            document.add(("rule_files", number), message, f"looked in {base_dir}")
        for name in found:
            if (base_dir / name).resolve() == Path(document.file).resolve():
                message = f"{pattern!r} matches the configuration itself, which is no rule file"
                document.add(("rule_files", number), message, "put rule files into a folder of their own")
            else:
                paths[base_dir / name] = None
    groups = _read_all(paths, defaults, document.problems)
    return tuple(paths), tuple(group for group in groups if group.rules or not group.recordings)


def _read_rules(path: Path, defaults: Defaults, problems: list[Problem]) -> list[Group]:
    try:
        documents = chosen(read_several(path, lenient=True))
    except ConfigError as error:
        problems.extend(error.problems)
        return []
    groups: list[Group] = []
    for document in documents:
        groups += read_rule_file(document, defaults)
        problems.extend(document.problems)
    return groups


def _read_all(paths: Iterable[Path], defaults: Defaults, problems: list[Problem]) -> tuple[Group, ...]:
    """Return the groups of all files, every rule with a unique name."""
    groups = [group for path in paths for group in _read_rules(path, defaults, problems)]
    return told_apart(groups, problems)


def _defaults(file: BridgeFile | None) -> Defaults:
    common = GlobalSection() if file is None else file.section.global_
    models = ModelLabels() if file is None else file.section.models.over(ModelLabels())
    dry_run = file is not None and file.section.dry_run
    return Defaults(common.evaluation_interval, common.query_offset, models, common.external_labels, dry_run=dry_run)
