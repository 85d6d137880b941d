"""Loader of bridge.yml with all its rule files."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel

from bridge.config.bridge_file import BridgeFile, GlobalSection, read_bridge_file
from bridge.config.kubernetes import chosen
from bridge.config.rule_file import SERVER_KEY, Defaults, read_rule_file
from bridge.config.shown import shown
from bridge.config.unique_rule_names import with_unique_names
from bridge.domain.errors import HTTP2, ConfigError, Problem
from bridge.domain.route import Route
from bridge.domain.rule import DEFAULT_SERVER, Gates, Group, ModelLabels
from bridge.domain.times import Duration
from bridge.files.yaml import Document, KeyPath, path_text, read, read_several
from bridge.sources.config import PrometheusConfig

_RULE = re.compile(r"(spec\.)?groups\[(\d+)\]\.rules\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """Checked configuration.

    path: of bridge.yml.
    base_dir: its folder, to which paths in it are relative.
    rule_texts: text of each rule file, in the order of reading.
    notes: keys that are taken and have no effect.
    servers: Prometheus servers by name; signals that name none use `prometheus`.
    """

    global_: GlobalSection
    servers: Mapping[str, PrometheusConfig]
    models: ModelLabels
    retire_after: Duration
    dry_run: bool
    groups: tuple[Group, ...]
    route: Route
    receivers: Mapping[str, tuple[tuple[str, BaseModel], ...]]
    gates: Gates
    path: Path
    base_dir: Path
    rule_texts: Mapping[Path, str]
    notes: tuple[Problem, ...]
    _shown: str

    @property
    def prometheus(self) -> PrometheusConfig:
        """Server of the section `prometheus`."""
        return self.servers[DEFAULT_SERVER]

    def redacted(self) -> str:
        """Return bridge.yml in force as YAML; secrets are `<secret>`, defaults are spelled out."""
        return self._shown


@dataclass(frozen=True, slots=True)
class Expression:
    """One PromQL expression of a rule file, for `check`. path: where it stands in `document`."""

    document: Document
    path: KeyPath
    text: str

    @property
    def server(self) -> str:
        """Name of the server that its signal or its group chooses."""
        for length in range(len(self.path) - 1, 0, -1):
            if isinstance(name := self.document.at((*self.path[:length], SERVER_KEY)), str):
                return name
        return DEFAULT_SERVER


@dataclass(frozen=True, slots=True)
class Examined:
    """Contents of files, mistakes included.

    groups: without the rules that have mistakes. config: None with any mistake. document: bridge.yml.
    """

    problems: list[Problem]
    groups: tuple[Group, ...]
    expressions: tuple[Expression, ...]
    document: Document | None = None
    servers: Mapping[str, PrometheusConfig] = field(default_factory=dict)
    config: BridgeConfig | None = None


def load(path: Path) -> BridgeConfig:
    """Read `path` and its rule files. ConfigError with every problem of all of them."""
    found = examine(path)
    if found.config is None:
        raise ConfigError(found.problems)
    return found.config


def examine(path: Path) -> Examined:
    """Read `path` and its rule files, with every problem of all of them. Raises ConfigError for no YAML."""
    document = read(path)
    file = read_bridge_file(document)
    base_dir = path.parent
    read_files = _rule_files(file, document, base_dir)
    expressions = tuple(read_files.expressions)
    servers = {} if file is None else file.servers
    if document.problems or file is None:
        return Examined(sorted(document.problems), read_files.groups, expressions, document, servers)
    config = BridgeConfig(
        global_=file.section.global_,
        servers=servers,
        models=file.section.models.over(ModelLabels()),
        retire_after=file.section.models.retire_after,
        dry_run=file.section.dry_run,
        groups=tuple(group for group in read_files.groups if group.rules or not group.recordings),
        route=file.route,
        receivers=file.receivers,
        gates=file.gates,
        path=path,
        base_dir=base_dir,
        rule_texts=read_files.texts,
        notes=tuple(_notes(document)),
        _shown=shown(file),
    )
    return Examined([], read_files.groups, expressions, document, servers, config)


def _notes(document: Document) -> Iterator[Problem]:
    for path, line in document.lines.items():
        if path[-1:] == ("enable_http2",) and document.at(path) is True:
            message = "has no effect: the bridge speaks HTTP/1.1, which HTTP/2 servers answer too"
            yield Problem(document.file, line, path_text(path), message, "", HTTP2)


def load_rules(
    paths: Iterable[Path], *, interval: Duration | None = None, offset: Duration | None = None,
    models: ModelLabels | None = None,
) -> tuple[Group, ...]:  # fmt: skip
    """Return the groups of rule files, with the defaults of an empty bridge.yml. Raises ConfigError.

    interval, offset, models: of groups that set none; None = as in an empty bridge.yml.
    """
    problems: list[Problem] = []
    defaults = _defaults(None)
    defaults.models = models or defaults.models
    defaults.interval = defaults.interval if interval is None else interval
    defaults.offset = defaults.offset if offset is None else offset
    groups = _read_all(paths, defaults, problems).groups
    if problems:
        raise ConfigError(problems)
    return groups


def examine_rules(paths: Iterable[Path]) -> Examined:
    """Read rule files with the defaults of an empty bridge.yml, with every problem of all of them."""
    problems: list[Problem] = []
    found = _read_all(paths, _defaults(None), problems)
    return Examined(sorted(problems), found.groups, tuple(found.expressions))


def _rule_files(file: BridgeFile | None, document: Document, base_dir: Path) -> _RuleFiles:
    """Return the contents of the rule files that the globs name, in order; problems go to `document`."""
    defaults = _defaults(file)
    paths: dict[Path, None] = {}
    own = os.path.realpath(document.file)
    for number, pattern in enumerate(file.section.rule_files if file is not None else ()):
        found = sorted(glob.glob(pattern, root_dir=base_dir, recursive=True))  # noqa: PTH207 - patterns may be absolute
        if not found:
            message = f"no file matches {pattern!r}"
            document.add(("rule_files", number), message, f"looked in {base_dir}")
        for name in found:
            if os.path.realpath(base_dir / name) == own:
                message = f"{pattern!r} matches the configuration itself, which is not a rule file"
                document.add(("rule_files", number), message, "put rule files into a folder of their own")
            else:
                paths[base_dir / name] = None
    return _read_all(paths, defaults, document.problems)


@dataclass(slots=True)
class _RuleFiles:
    """Contents of rule files. groups: without the rules that have mistakes.

    wrong: file and line of the rules with mistakes; line 0 for a file with mistakes outside of rules.
    texts: of each file.
    """

    groups: tuple[Group, ...] = ()
    expressions: list[Expression] = field(default_factory=list)
    wrong: set[tuple[str, int]] = field(default_factory=set)
    texts: dict[Path, str] = field(default_factory=dict)


def _read_rules(path: Path, defaults: Defaults, problems: list[Problem], found: _RuleFiles) -> list[Group]:
    try:
        documents = chosen(read_several(path, lenient=True))
    except ConfigError as error:
        problems.extend(error.problems)
        return []
    groups: list[Group] = []
    found.texts[path] = documents[0].source if documents else ""
    for document in documents:
        groups += read_rule_file(document, defaults)
        problems.extend(document.problems)
        found.wrong |= {_place_of(problem, document) for problem in document.problems}
        found.expressions += [Expression(document, path, text) for path, text in document.expressions.items()]
    return groups


def _read_all(paths: Iterable[Path], defaults: Defaults, problems: list[Problem]) -> _RuleFiles:
    """Return what all files hold, every rule with a unique name."""
    found = _RuleFiles()
    groups = [group for path in paths for group in _read_rules(path, defaults, problems, found)]
    before = len(problems)
    named_groups = with_unique_names(groups, problems)
    found.wrong |= {(problem.file, problem.line) for problem in problems[before:]}
    found.groups = tuple(_without(group, found.wrong) for group in named_groups if (group.file, 0) not in found.wrong)
    return found


def _without(group: Group, wrong: set[tuple[str, int]]) -> Group:
    """Return the group without wrong rules, and without the signals that only they use."""
    kept = tuple(rule for rule in group.rules if (rule.file, rule.line) not in wrong)
    used = {name for rule in kept for name in rule.queries}
    lost = {name for rule in group.rules for name in rule.queries} - used
    queries = {name: query for name, query in group.queries.items() if name not in lost}
    return replace(group, rules=kept, queries=queries)


def _place_of(problem: Problem, document: Document) -> tuple[str, int]:
    """Return file and line of the rule that a problem is in; line 0 for one outside of rules."""
    inside = _RULE.match(problem.path)
    if inside is None:
        return document.file, 0
    path: KeyPath = (*(["spec"] if inside[1] else []), "groups", int(inside[2]), "rules", int(inside[3]))
    name = next((key for key in ("retrain", "alert") if (*path, key) in document.lines), "")
    return document.file, document.line((*path, name))


def _defaults(file: BridgeFile | None) -> Defaults:
    common = GlobalSection() if file is None else file.section.global_
    models = ModelLabels() if file is None else file.section.models.over(ModelLabels())
    dry_run = file is not None and file.section.dry_run
    return Defaults(
        common.evaluation_interval, common.query_offset, models, common.external_labels, dry_run=dry_run,
        servers=None if file is None else frozenset(file.servers),
    )  # fmt: skip
