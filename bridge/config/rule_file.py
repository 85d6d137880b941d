"""Rule files: Prometheus' groups, with signals and `retrain:` rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from bridge.config.kubernetes import rules_of
from bridge.config.labels import ModelsModel, check_labels, check_names
from bridge.config.promql import check_expression
from bridge.config.rule import RuleReader
from bridge.config.signals import SignalSection, check_columns, signal_query
from bridge.domain.limits import LONGEST_NAME
from bridge.domain.rule import DEFAULT_SERVER, Group, ModelLabels, RecordingRule, Rule, SignalQuery
from bridge.domain.times import Duration
from bridge.domain.wording import kind, near
from bridge.files.validation import DurationField, Section, fixed, salvaged
from bridge.files.yaml import Document, KeyPath

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SERVER_KEY = "prometheus_server"
SIGNAL_HINT = "for example {event: drift, expr: model_drift_score}"


class GroupSection(Section):
    """One rule group with its signals and rules."""

    not_built = frozenset({"gates", "storm", "budget", "shadow", "dry_run"})
    stand_ins = fixed(name="")
    may_be_empty = frozenset({"interval", "limit", "query_offset", "labels", "rules"})
    elsewhere = fixed(
        **{"for": "write it in the rules", "expr": "write it in the rules", "severity": "write it under 'labels'"},
        partial_response_strategy="write prometheus.partial_response in bridge.yml",
        source_tenants="set prometheus.tenant, or a server of prometheus_servers for each, in bridge.yml",
    )
    name: str
    interval: DurationField | None = None
    limit: Annotated[int, Field(ge=0)] = 0
    query_offset: DurationField | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    models: ModelsModel = ModelsModel()
    prometheus_server: str | None = None
    signals: dict[str, Any] = Field(default_factory=dict)
    rules: list[Any] = Field(default_factory=list)


class RuleFileSection(Section):
    """Top level of a rule file."""

    stand_ins = fixed(groups=[])
    may_be_empty = frozenset({"groups"})
    groups: list[Any]


class RecordingSection(Section):
    """One recording rule of Prometheus, which the bridge accepts and does not evaluate."""

    may_be_empty = frozenset({"labels"})
    record: str
    expr: str
    labels: Mapping[str, str] = Field(default_factory=dict)


class Defaults:
    """Settings of bridge.yml for rule files, and the names that were read so far (name -> where).

    taken: external label -> where it is set. servers: names of the Prometheus servers, None = not known.
    """

    def __init__(
        self,
        interval: Duration,
        offset: Duration,
        models: ModelLabels,
        external_labels: Mapping[str, str],
        *,
        dry_run: bool = False,
        servers: frozenset[str] | None = None,
    ) -> None:
        self.servers = servers
        self.dry_run = dry_run
        self.interval = interval
        self.offset = offset
        self.models = models
        self.taken = dict.fromkeys(external_labels, "global.external_labels of the configuration")
        self.groups: dict[str, str] = {}
        self.count = 0


def read_rule_file(document: Document, defaults: Defaults) -> list[Group]:
    """Return the groups of a file; every problem is noted in `document`, names are noted in `defaults`."""
    found = rules_of(document)
    if found is None:
        return []
    value, path = found
    if isinstance(value, Mapping) and (*path, "groups") in document.empty:
        return []
    section = salvaged(RuleFileSection, value, document, path)
    entries = section.groups if section is not None else []
    return [
        group
        for number, entry in enumerate(entries)
        if (group := _read_group(entry, document, (*path, "groups", number), defaults)) is not None
    ]


def _read_group(entry: object, document: Document, path: KeyPath, defaults: Defaults) -> Group | None:
    section = salvaged(GroupSection, entry, document, path)
    if section is None:
        return None
    _unique(defaults.groups, section.name, "group", document, (*path, "name"))
    check_labels(section.labels, document, (*path, "labels"), defaults.taken, templates=True)
    surroundings = _Surroundings(section, document, path, defaults)
    rules: list[Rule] = []
    recordings: list[RecordingRule] = []
    for number, value in enumerate(section.rules):
        where = (*path, "rules", number)
        if _is_recording(value):
            recordings += _recording(value, section, document, where)
        else:
            rule = RuleReader(value, document, where, surroundings).read()
            rules += [rule] if rule is not None else []
    queries = {name: query for name, query in surroundings.queries.items() if query is not None}
    interval = section.interval or defaults.interval
    offset = defaults.offset if section.query_offset is None else section.query_offset
    return Group(section.name, interval, queries, tuple(rules), offset, document.file, recordings=tuple(recordings))


def _is_recording(value: object) -> bool:
    return isinstance(value, Mapping) and "record" in value and not {"alert", "retrain"} & value.keys()


def _recording(value: object, group: GroupSection, document: Document, path: KeyPath) -> Iterator[RecordingRule]:
    """Check a recording rule, which the bridge leaves with Prometheus."""
    section = salvaged(RecordingSection, value, document, path)
    if section is None:
        return
    if not METRIC_NAME.fullmatch(section.record):
        document.add((*path, "record"), f"{section.record!r} is not a metric name")
    check_expression(section.expr, document, (*path, "expr"))
    check_names(section.labels, document, (*path, "labels"))
    labels = {**group.labels, **section.labels}
    yield RecordingRule(section.record, section.expr, labels, document.line((*path, "record")))


def _unique(known: dict[str, str], name: str, what: str, document: Document, path: KeyPath) -> None:
    if not _named(name, what, document, path):
        return
    if name in known:
        document.add(path, f"{what} {name!r} is defined twice", f"first in {known[name]}")
    else:
        known[name] = f"{document.file}:{document.line(path)}"


def _named(name: str, what: str, document: Document, path: KeyPath) -> bool:
    """Note a name that cannot be used; return whether it can."""
    if path not in document.lines or document.reported(path):
        return False
    if not name.strip():
        document.add(path, f"a {what} needs a name")
    elif len(name) > LONGEST_NAME:
        document.add(path, f"the name of a {what} has at most {LONGEST_NAME} characters")
    return not document.reported(path)


def _judged(rules: list[Any]) -> Iterator[str]:
    """Yield the signals that a rule of the group evaluates."""
    for rule in rules:
        if isinstance(rule, dict) and isinstance(rule.get("signal"), str):
            yield rule["signal"]


class _Surroundings:
    """Settings of a group for its rules."""

    def __init__(self, group: GroupSection, document: Document, path: KeyPath, defaults: Defaults) -> None:
        self.name = group.name
        self.labels = group.labels
        self.limit = group.limit
        self.dry_run = defaults.dry_run
        self.judged = frozenset(_judged(group.rules))
        self.taken = defaults.taken
        self.mapping = group.models.over(defaults.models)
        self._document = document
        self._defaults = defaults
        self.server = self._server(group.prometheus_server, DEFAULT_SERVER, path)
        self.signals = frozenset(group.signals)
        signals = ((name, (*path, "signals", name), value) for name, value in group.signals.items())
        self.queries: dict[str, SignalQuery | None] = {
            name: self._signal(name, where, value) for name, where, value in signals
        }

    def _signal(self, name: str, path: KeyPath, value: object) -> SignalQuery | None:
        before = len(self._document.problems)
        if not name.strip():
            self._document.add(path, "a signal needs a name")
        if not isinstance(value, dict):
            self._document.add(path, f"a signal is a mapping, not {kind(value)}", SIGNAL_HINT)
            return None
        signal = salvaged(SignalSection, value, self._document, path)
        if signal is None:
            return None
        check_columns(signal, self._document, path)
        server = self._server(signal.prometheus_server, self.server, path)
        query = signal_query(name, signal, self.mapping, self.limit, server, self._document, path)
        return query if len(self._document.problems) == before else None

    def _server(self, name: str | None, otherwise: str, path: KeyPath) -> str:
        known = self._defaults.servers
        if name is not None and known is not None and name not in known:
            hint = near(name, known) if len(known) > 1 else "define it under prometheus_servers in bridge.yml"
            self._document.add((*path, SERVER_KEY), f"there is no Prometheus server {name!r}", hint)
        return otherwise if name is None else name

    def number(self, rule: str, path: KeyPath) -> int:
        """Return the rule's position over all files."""
        _named(rule, "rule", self._document, path)
        self._defaults.count += 1
        return self._defaults.count - 1
