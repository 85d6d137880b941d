"""Rule files: Prometheus' groups, with signals and `retrain:` rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from bridge.config.labels import ModelsModel, check_labels
from bridge.config.rule import RuleReader
from bridge.config.signals import SignalSection, check_columns, signal_query
from bridge.domain.limits import LONGEST_NAME
from bridge.domain.rule import Group, ModelLabels, Rule, SignalQuery
from bridge.domain.times import Duration
from bridge.files.shape import DurationField, PositiveDurationField, Section, fixed, salvaged
from bridge.files.wording import kind
from bridge.files.yaml import Document, Place

SIGNAL_HINT = "for example {event: drift, expr: model_drift_score}"


class GroupSection(Section):
    """One group; its signals and rules are checked one by one."""

    not_built = frozenset({"gates", "storm", "budget", "shadow", "dry_run"})
    stand_ins = fixed(name="")
    name: str
    interval: PositiveDurationField | None = None
    limit: Annotated[int, Field(ge=0)] = 0
    query_offset: DurationField | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    models: ModelsModel = ModelsModel()
    signals: dict[str, Any] = Field(default_factory=dict)
    rules: list[Any] = Field(default_factory=list)


class RuleFileSection(Section):
    """The whole file."""

    stand_ins = fixed(groups=[])
    groups: list[Any]


class Defaults:
    """What bridge.yml gives to rule files, and the names that were read so far (name -> where).

    taken: external label -> where it is set.
    """

    def __init__(
        self,
        interval: Duration,
        offset: Duration,
        models: ModelLabels,
        external_labels: Mapping[str, str],
        *,
        dry_run: bool = False,
    ) -> None:
        self.dry_run = dry_run
        self.interval = interval
        self.offset = offset
        self.models = models
        self.taken = dict.fromkeys(external_labels, "global.external_labels of the configuration")
        self.groups: dict[str, str] = {}
        self.rules: dict[str, str] = {}
        self.count = 0


def read_rule_file(document: Document, defaults: Defaults) -> list[Group]:
    """The groups of a file; every problem is noted in `document`, names are noted in `defaults`."""
    section = salvaged(RuleFileSection, document.value, document, ())
    entries = section.groups if section is not None else []
    return [
        group
        for number, entry in enumerate(entries)
        if (group := _read_group(entry, document, ("groups", number), defaults)) is not None
    ]


def _read_group(entry: object, document: Document, place: Place, defaults: Defaults) -> Group | None:
    section = salvaged(GroupSection, entry, document, place)
    if section is None:
        return None
    _unique(defaults.groups, section.name, "group", document, (*place, "name"))
    check_labels(section.labels, document, (*place, "labels"), defaults.taken, templates=True)
    surroundings = _Surroundings(section, document, place, defaults)
    rules: list[Rule] = []
    for number, value in enumerate(section.rules):
        rule = RuleReader(value, document, (*place, "rules", number), surroundings).read()
        rules += [rule] if rule is not None else []
    queries = {name: query for name, query in surroundings.queries.items() if query is not None}
    interval = section.interval or defaults.interval
    offset = defaults.offset if section.query_offset is None else section.query_offset
    return Group(section.name, interval, queries, tuple(rules), offset, document.file)


def _unique(known: dict[str, str], name: str, what: str, document: Document, place: Place) -> None:
    if place not in document.lines or document.told(place):
        return
    if not name.strip():
        document.add(place, f"a {what} needs a name")
    elif len(name) > LONGEST_NAME:
        document.add(place, f"the name of a {what} has at most {LONGEST_NAME} characters")
    elif name in known:
        document.add(place, f"{what} {name!r} is there twice", f"first in {known[name]}")
    else:
        known[name] = f"{document.file}:{document.line(place)}"


def _judged(rules: list[Any]) -> Iterator[str]:
    """The signals that a rule of the group judges."""
    for rule in rules:
        if isinstance(rule, dict) and isinstance(rule.get("signal"), str):
            yield rule["signal"]


class _Surroundings:
    """What the rules of a group take from it."""

    def __init__(self, group: GroupSection, document: Document, place: Place, defaults: Defaults) -> None:
        self.name = group.name
        self.labels = group.labels
        self.limit = group.limit
        self.dry_run = defaults.dry_run
        self.judged = frozenset(_judged(group.rules))
        self.taken = defaults.taken
        self.mapping = group.models.over(defaults.models)
        self._document = document
        self._defaults = defaults
        self.signals = frozenset(group.signals)
        signals = ((name, (*place, "signals", name), value) for name, value in group.signals.items())
        self.queries: dict[str, SignalQuery | None] = {
            name: self._signal(name, where, value) for name, where, value in signals
        }

    def _signal(self, name: str, place: Place, value: object) -> SignalQuery | None:
        before = len(self._document.problems)
        if not name.strip():
            self._document.add(place, "a signal needs a name")
        if not isinstance(value, dict):
            self._document.add(place, f"a signal is a mapping, not {kind(value)}", SIGNAL_HINT)
            return None
        signal = salvaged(SignalSection, value, self._document, place)
        if signal is None:
            return None
        check_columns(signal, self._document, place)
        query = signal_query(name, signal, self.mapping, self.limit, self._document, place)
        return query if len(self._document.problems) == before else None

    def number(self, rule: str, place: Place) -> int:
        """The next place over all files."""
        _unique(self._defaults.rules, rule, "rule", self._document, place)
        self._defaults.count += 1
        return self._defaults.count - 1
