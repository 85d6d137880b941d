"""Rule files: Prometheus' groups, with signals and `retrain:` rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from bridge.config.labels import ModelsModel, check_labels
from bridge.config.shape import PositiveSpan, Section, Span, checked, near
from bridge.config.signals import SignalSection, promql_problem, signal_query
from bridge.config.strategy import strategy_spec
from bridge.config.yaml import Document, Place
from bridge.domain.batch import EventKind
from bridge.domain.rule import Group, ModelLabels, Rule, SignalQuery
from bridge.domain.template import Template
from bridge.domain.times import HOUR, Duration
from bridge.domain.verdict import Cause

_CAUSES = {cause.word: cause for cause in Cause if cause is not Cause.NONE}


class CooldownSection(Section):
    """`cooldown: {base: 6h}`."""

    not_built = frozenset({"max"})
    base: Span


class RuleSection(Section):
    """One rule."""

    not_built = frozenset(
        {"breaches", "alert", "all", "any", "at_least", "approval", "dry_run", "shadow", "max_attempts", "n_min",
         "discover", "gates"}
    )  # fmt: skip
    retrain: str
    expr: str | None = None
    event: EventKind | None = None
    signal: str | None = None
    strategy: str | dict[str, Any] | None = None
    for_: Annotated[Span, Field(alias="for")] = 0
    keep_firing_for: Span = 0
    cooldown: CooldownSection | Span = HOUR
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    inconclusive: Mapping[str, str] = Field(default_factory=dict)


class GroupSection(Section):
    """One group; its signals and rules are checked one by one."""

    name: str
    interval: PositiveSpan | None = None
    limit: Annotated[int, Field(ge=0)] = 0
    query_offset: Span | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    models: ModelsModel = ModelsModel()
    signals: dict[str, Any] = Field(default_factory=dict)
    rules: list[Any] = Field(default_factory=list)


class RuleFileSection(Section):
    """The whole file."""

    groups: list[Any]


class Defaults:
    """What bridge.yml gives to rule files. taken: external label -> where it is set. order: of the next rule."""

    def __init__(
        self, interval: Duration, offset: Duration, models: ModelLabels, external_labels: Mapping[str, str]
    ) -> None:
        self.interval = interval
        self.offset = offset
        self.models = models
        self.taken = dict.fromkeys(external_labels, "global.external_labels of the configuration")
        self.rules: dict[str, str] = {}
        self.groups: dict[str, str] = {}


def read_rule_file(document: Document, defaults: Defaults) -> list[Group]:
    """The groups of a file; every problem is noted in `document`, names are noted in `defaults`."""
    section = checked(RuleFileSection, document.value, document, ())
    entries = section.groups if section is not None else []
    return [
        group
        for number, entry in enumerate(entries)
        if (group := _GroupReader(document, defaults, ("groups", number)).read(entry)) is not None
    ]


class _GroupReader:
    """Reads one group."""

    def __init__(self, document: Document, defaults: Defaults, place: Place) -> None:
        self._document = document
        self._defaults = defaults
        self._place = place
        self._queries: dict[str, SignalQuery] = {}
        self._used: set[str] = set()

    def read(self, entry: object) -> Group | None:
        section = checked(GroupSection, entry, self._document, self._place)
        if section is None:
            return None
        self._unique(self._defaults.groups, section.name, "group", "name")
        check_labels(section.labels, self._document, (*self._place, "labels"), self._defaults.taken)
        mapping = section.models.over(self._defaults.models)
        for name, value in section.signals.items():
            self._signal(section, name, value, mapping)
        rules = [
            rule
            for number, item in enumerate(section.rules)
            if (rule := self._rule(section, item, (*self._place, "rules", number), mapping)) is not None
        ]
        interval = section.interval or self._defaults.interval
        offset = self._defaults.offset if section.query_offset is None else section.query_offset
        return Group(section.name, interval, self._queries, tuple(rules), offset, self._document.file)

    def _unique(self, known: dict[str, str], name: str, what: str, *path: str | int) -> None:
        place = (*self._place, *path)
        if not name.strip():
            self._document.add(place, f"a {what} needs a name")
        elif name in known:
            self._document.add(place, f"{what} {name!r} is there twice", f"first in {known[name]}")
        known[name] = f"{self._document.file}:{self._document.line(place)}"

    def _signal(self, group: GroupSection, name: str, value: object, mapping: ModelLabels) -> None:
        place = (*self._place, "signals", name)
        signal = checked(SignalSection, value, self._document, place)
        if signal is None:
            # Known all the same: rules that use it are not wrong because of it.
            self._queries[name] = SignalQuery(name, EventKind.CUSTOM, {"value": name})
            return
        query = signal_query(name, signal, mapping, group.limit, self._document, place)
        self._queries[name] = query

    def _rule(self, group: GroupSection, value: object, place: Place, mapping: ModelLabels) -> Rule | None:
        if isinstance(value, dict) and "retrain" not in value and "alert" in value:
            self._document.add((*place, "alert"), "'alert' is not built yet", "rules begin with 'retrain: NAME'")
            return None
        section = checked(RuleSection, value, self._document, place)
        if section is None:
            return None
        self._unique(self._defaults.rules, section.retrain, "rule", *place[len(self._place) :], "retrain")
        labels = {**group.labels, **section.labels}
        check_labels(section.labels, self._document, (*place, "labels"), self._defaults.taken)
        self._annotations(section, place)
        query = self._query(group, section, place, mapping)
        if query is None:
            return None
        strategy = None
        if section.expr is None:
            strategy = strategy_spec(section.strategy, self._queries[query], self._document, (*place, "strategy"))
        cooldown = section.cooldown.base if isinstance(section.cooldown, CooldownSection) else section.cooldown
        return Rule(
            name=section.retrain,
            group=group.name,
            query=query,
            strategy=strategy,
            for_=section.for_,
            keep_firing_for=section.keep_firing_for,
            cooldown=cooldown,
            labels=labels,
            annotations=dict(section.annotations),
            policies=self._policies(section, place),
            order=len(self._defaults.rules) - 1,
            file=self._document.file,
            line=self._document.line((*place, "retrain")),
        )

    def _query(self, group: GroupSection, rule: RuleSection, place: Place, mapping: ModelLabels) -> str | None:
        """The key of the rule's query: its signal, or a query of its own for a plain `expr`."""
        if (rule.expr is None) == (rule.signal is None):
            self._document.add(place, "a rule has either 'expr' or 'signal' with 'strategy'")
            return None
        if rule.signal is not None:
            if rule.event is not None:
                self._document.add((*place, "event"), "'event' goes with 'expr'; the signal has its own")
            if rule.signal not in self._queries:
                self._document.add(
                    (*place, "signal"), f"there is no signal {rule.signal!r}", near(rule.signal, self._queries)
                )
                return None
            return rule.signal
        return self._own_query(group, rule, place, mapping)

    def _own_query(self, group: GroupSection, rule: RuleSection, place: Place, mapping: ModelLabels) -> str | None:
        if rule.strategy is not None:
            hint = "the expression decides; write a signal to use a strategy"
            self._document.add((*place, "strategy"), "'strategy' does not go with 'expr'", hint)
        if rule.retrain in self._queries:
            self._document.add((*place, "retrain"), f"{rule.retrain!r} is the name of a signal as well", "rename one")
            return None
        expr = rule.expr or ""
        if problem := promql_problem(expr):
            self._document.add((*place, "expr"), problem)
        event = rule.event or EventKind.CUSTOM
        self._queries[rule.retrain] = SignalQuery(rule.retrain, event, {"value": expr}, mapping, limit=group.limit)
        return rule.retrain

    def _annotations(self, rule: RuleSection, place: Place) -> None:
        for name, text in rule.annotations.items():
            try:
                Template(text)
            except ValueError as error:
                self._document.add((*place, "annotations", name), str(error))

    def _policies(self, rule: RuleSection, place: Place) -> dict[Cause, str]:
        for name, policy in rule.inconclusive.items():
            where = (*place, "inconclusive", name)
            if name not in _CAUSES:
                self._document.add(where, f"unknown cause {name!r}", near(name, _CAUSES))
            elif policy in {"ok", "fire"}:
                self._document.add(where, f"policy {policy!r} is not built yet", "keep is")
            elif policy != "keep":
                self._document.add(where, f"unknown policy {policy!r}", near(policy, ("keep", "ok", "fire")))
        return {_CAUSES[name]: policy for name, policy in rule.inconclusive.items() if name in _CAUSES}
