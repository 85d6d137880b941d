"""One rule of a rule file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import count
from typing import Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.config.conditions import KEYS, read_conditions
from bridge.config.labels import check_labels, check_names
from bridge.config.promql import check_expression
from bridge.config.strategy import strategy_spec
from bridge.domain.batch import COUNT, HISTOGRAMS, VALUE, EventKind
from bridge.domain.rule import (
    Breaches,
    Condition,
    Cooldown,
    Mode,
    ModelLabels,
    Rule,
    RuleKind,
    SignalQuery,
    StrategySpec,
)
from bridge.domain.times import HOUR
from bridge.domain.verdict import USE, Cause
from bridge.domain.wording import near
from bridge.files.validation import DurationField, PositiveDurationField, Section, fixed, salvaged
from bridge.files.yaml import Document, KeyPath
from bridge.strategies.registry import strategies
from bridge.templates.alert import AlertTemplate
from bridge.templates.errors import TemplateError

_CAUSES = {cause.word: cause for cause in Cause if cause is not Cause.NONE}
DEFAULT, OF_HISTOGRAMS = "auto", "chi_square"  # the strategy of a rule on a signal that names none
_EITHER = "a rule has one of: 'expr', 'signal', 'all', 'any', 'at_least'"
_WAYS = ("expr", "signal", *KEYS)
_ONLY_RETRAIN = ("cooldown", "max_attempts", "approval", "dry_run")
_LABEL, _ANNOTATION = "write it under 'labels'", "write it under 'annotations'"
_POLICIES = ("keep", "ok", "fire", USE)
_POLICIES_SCHEMA = {
    "type": "object", "propertyNames": {"enum": sorted(_CAUSES)}, "additionalProperties": {"enum": list(_POLICIES)}
}  # fmt: skip


class CooldownSection(Section):
    """`cooldown: {base: 6h, max: 7d, factor: 2}`: time after a retraining in which no further request is sent.

    - `factor`: growth with each retraining that does not help
    - `max`: longest cooldown; without `max`, or with `0s`, the cooldown does not grow
    """

    base: DurationField
    max: DurationField = 0
    factor: Annotated[float, Field(gt=1, le=100)] = 2.0


def _cooldown(value: object) -> object:
    """`cooldown: 6h` is `cooldown: {base: 6h}`."""
    return value if isinstance(value, dict) else {"base": value}


class BreachesSection(Section):
    """`breaches: {at_least: 3, of: 5}`, instead of `for`: 3 of the last 5 conclusive verdicts must be `breached`."""

    at_least: Annotated[int, Field(ge=1)]
    of: Annotated[int, Field(ge=1, le=60)]


class RuleSection(Section):
    """One rule."""

    not_built = frozenset({"min_samples", "gates", "discover", "active_time_intervals", "mute_time_intervals"})
    stand_ins = fixed()
    may_be_empty = frozenset({"labels", "annotations", "for", "keep_firing_for"})
    elsewhere = fixed(
        severity=_LABEL, priority=_LABEL, team=_LABEL, service=_LABEL, env=_LABEL, environment=_LABEL,
        summary=_ANNOTATION, description=_ANNOTATION, message=_ANNOTATION, runbook_url=_ANNOTATION,
        dashboard_url=_ANNOTATION, interval="write it beside the group's name", name="write retrain: NAME",
        query="write expr", condition="write expr", threshold="write strategy: {threshold: {max: ...}}",
        receiver="write a route in bridge.yml",
    )  # fmt: skip
    retrain: str | None = None
    alert: str | None = None
    expr: str | None = None
    event: EventKind | None = None
    signal: str | None = None
    strategy: Any = None
    all: Any = None
    any: Any = None
    at_least: Any = None
    for_: Annotated[DurationField, Field(alias="for")] = 0
    keep_firing_for: DurationField = 0
    breaches: BreachesSection | None = None
    n_min: Annotated[float, Field(gt=0)] | None = None
    warm_up: PositiveDurationField | None = None
    fdr: Annotated[float, Field(gt=0, lt=1)] | None = None
    cooldown: Annotated[CooldownSection, BeforeValidator(_cooldown)] = CooldownSection.model_construct(base=HOUR)
    max_attempts: Annotated[int, Field(ge=0)] = 5
    approval: Literal["required", "none"] = "none"
    dry_run: bool = False
    shadow: bool = False
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    inconclusive: Annotated[Mapping[str, str], WithJsonSchema(_POLICIES_SCHEMA, mode="validation")] = Field(
        default_factory=dict
    )


class GroupContext(Protocol):
    """Settings of the group of a rule. queries: name -> query, None for a signal that is wrong itself."""

    name: str
    labels: Mapping[str, str]
    limit: int
    dry_run: bool
    server: str
    mapping: ModelLabels
    signals: frozenset[str]
    judged: frozenset[str]
    queries: dict[str, SignalQuery | None]
    taken: dict[str, str]

    def number(self, rule: str, path: KeyPath) -> int:
        """Return the rule's position over all files; a name that cannot be used is noted."""


class RuleReader:
    """Reads one rule; every problem is noted in `document`."""

    def __init__(self, value: object, document: Document, path: KeyPath, group: GroupContext) -> None:
        self._value = value
        self._document = document
        self._path = path
        self._group = group

    def read(self) -> Rule | None:
        """Return the rule; None: nothing of it could be used."""
        if self._is_another_kind():
            return None
        section = salvaged(RuleSection, self._value, self._document, self._path)
        if section is None:
            return None
        group = self._group
        check_labels(section.labels, self._document, (*self._path, "labels"), group.taken, templates=True)
        self._check_annotations(section)
        name = section.retrain or section.alert or ""
        query, strategy, conditions, at_least = self._judgement(section, self._own_name(name))
        self._check_together(section, query, conditions)
        self._check_fdr(section, strategy)
        cooldown, breaches = section.cooldown, section.breaches
        mode = Mode.SHADOW if section.shadow else Mode.DRY_RUN if section.dry_run or group.dry_run else Mode.LIVE
        return Rule(
            name=name,
            group=group.name,
            query=query,
            strategy=strategy,
            for_=section.for_,
            keep_firing_for=section.keep_firing_for,
            cooldown=Cooldown(cooldown.base, cooldown.max, cooldown.factor),
            labels={**group.labels, **section.labels},
            annotations=dict(section.annotations),
            policies=self._policies(section),
            order=group.number(name, (*self._path, self._name_key)),
            file=self._document.file,
            line=self._document.line((*self._path, self._name_key)),
            kind=RuleKind.ALERT if self._given("alert") else RuleKind.RETRAIN,
            mode=mode,
            breaches=None if breaches is None else Breaches(breaches.at_least, breaches.of),
            n_min=section.n_min or 0.0,
            warm_up=section.warm_up or 0,
            fdr=section.fdr or 0.0,
            conditions=conditions,
            at_least=at_least,
            approval=section.approval == "required",
            max_attempts=section.max_attempts,
        )

    def _own_name(self, name: str) -> str:
        """Return a name for the query of the rule's own that no rule before it in the group has."""
        queries, signals = self._group.queries, self._group.signals
        if name in signals or name not in queries:
            return name
        return next(own for number in count(2) if (own := f"{name}#{number}") not in queries)

    @property
    def _keys(self) -> list[str]:
        return [str(key) for key in self._value] if isinstance(self._value, dict) else []

    @property
    def _name_key(self) -> str:
        return "alert" if self._given("alert") else "retrain"

    def _given(self, key: str) -> bool:
        """Return whether the rule has the key, with whatever value."""
        return (*self._path, key) in self._document.lines

    def _is_another_kind(self) -> bool:
        """Note a rule without a name, or with two; return whether nothing of it can be used."""
        if self._given("retrain") and self._given("alert"):
            self._add("a rule is either 'retrain' or 'alert'", "write two rules", "alert")
        elif self._given("record"):
            self._add("a rule has either 'record', or 'retrain' or 'alert'", "write two rules", "record")
        elif not self._given("retrain") and not self._given("alert") and isinstance(self._value, dict):
            self._add("key 'retrain' is missing", "retrain: NAME requests a retraining, alert: NAME only alerts")
        return self._given("record")

    def _add(self, message: str, hint: str = "", *path: str | int) -> None:
        self._document.add((*self._path, *path), message, hint)

    def _judgement(self, rule: RuleSection, name: str) -> tuple[str, StrategySpec | None, tuple[Condition, ...], int]:
        """Return the key of the rule's query (its signal, or its own for a plain `expr`), strategy and conditions."""
        given = [key for key in _WAYS if self._given(key)]
        if len(given) != 1:
            self._add(_EITHER)
        elif given == ["expr"]:
            self._own_query(rule, name)
            return name, None, (), 0
        elif given == ["signal"]:
            if rule.signal is not None:
                return rule.signal, self._strategy(rule, rule.signal), (), 0
        else:
            for key in sorted({"strategy", "event"} & rule.model_fields_set):
                self._add(f"{key!r} cannot be combined with {given[0]!r}", "each condition has its own", key)
            conditions, at_least = read_conditions(
                rule.model_dump(include=set(KEYS)), self._group, self._document, self._path
            )
            return conditions[0].query if conditions else "", None, conditions, at_least
        return "", None, (), 0

    def _check_breaches(self, rule: RuleSection) -> None:
        if rule.breaches is not None:
            if rule.breaches.at_least > rule.breaches.of:
                text = f"at_least ({rule.breaches.at_least}) must not be more than of ({rule.breaches.of})"
                self._add(text, "", "breaches", "at_least")
            if self._given("for"):
                self._add("'for' cannot be combined with 'breaches'", "remove one", "for")

    def _check_fdr(self, rule: RuleSection, strategy: StrategySpec | None) -> None:
        """Note an `fdr` without the p-values of one strategy."""
        if rule.fdr is None:
            return
        if not self._given("signal"):
            self._add("'fdr' requires 'signal' and a strategy that supports p-values", "", "fdr")
        elif strategy is not None and not strategies()[strategy.name].gives_p:
            hint = "choose a strategy whose page says that it supports them"
            self._add(f"strategy {strategy.name!r} does not support p-values", hint, "fdr")

    def _check_together(self, rule: RuleSection, query: str, conditions: tuple[Condition, ...]) -> None:
        """Note keys that cannot be combined, with each other or with what the rule reads."""
        self._check_breaches(rule)
        for key in ("n_min", "warm_up") if self._given("expr") else ():
            if self._given(key):
                self._add(f"{key!r} cannot be combined with 'expr'", "write the expression as a signal", key)
        judged = {query, *(item.query for item in conditions)} if not self._given("expr") else set()
        for name in sorted(judged) if rule.n_min is not None else ():
            signal = self._group.queries.get(name)
            if signal is not None and COUNT not in signal.exprs:
                self._add(f"signal {name!r} does not say how many observations there are", "give it an 'n'", "n_min")
        if rule.cooldown.max and rule.cooldown.max < rule.cooldown.base:
            self._add("max must not be shorter than base", "", "cooldown", "max")
        for key in _ONLY_RETRAIN if self._given("alert") else ():
            if self._given(key):
                self._add(f"{key!r} cannot be combined with 'alert', which requests no retraining", "remove it", key)

    def _strategy(self, rule: RuleSection, signal: str) -> StrategySpec | None:
        if self._given("event"):
            self._add("'event' requires 'expr'; the signal has its own", "remove it", "event")
        known = self._group.signals
        if signal not in known:
            self._add(f"there is no signal {signal!r} in this group", near(signal, known), "signal")
        where = (*self._path, "strategy")
        if not self._given("strategy"):
            if difflib.get_close_matches("strategy", self._keys, n=1, cutoff=0.7):
                return None  # the slip has been told
            query = self._group.queries.get(signal)
            default = OF_HISTOGRAMS if query is not None and query.exprs.keys() >= HISTOGRAMS else DEFAULT
            return strategy_spec(default, query, self._document, self._path)
        if self._document.reported(where):
            return None
        return strategy_spec(rule.strategy, self._group.queries.get(signal), self._document, where)

    def _own_query(self, rule: RuleSection, name: str) -> None:
        if self._given("strategy"):
            hint = "the expression decides; make it a signal to use a strategy"
            self._add("'strategy' cannot be combined with 'expr'", hint, "strategy")
        if name in self._group.signals:
            self._add(f"{name!r} is the name of a signal as well", "rename one", self._name_key)
            return
        if rule.expr is not None:
            check_expression(rule.expr, self._document, (*self._path, "expr"))
        event, exprs = rule.event or EventKind.CUSTOM, {VALUE: rule.expr or ""}
        query = SignalQuery(name, event, exprs, self._group.mapping, limit=self._group.limit, server=self._group.server)
        self._group.queries[name] = query

    def _check_annotations(self, rule: RuleSection) -> None:
        check_names(rule.annotations, self._document, (*self._path, "annotations"))
        name = rule.retrain or rule.alert or ""
        self._check_templates(rule.annotations, name, "annotations")
        self._check_templates(rule.labels, name, "labels")

    def _check_templates(self, texts: Mapping[str, str], alert: str, key: str) -> None:
        for name, text in texts.items():
            try:
                AlertTemplate(text, alert)
            except TemplateError as error:
                self._add(str(error), "", key, name)

    def _policies(self, rule: RuleSection) -> dict[Cause, str]:
        for name, policy in rule.inconclusive.items():
            if name not in _CAUSES:
                self._add(f"unknown cause {name!r}", near(name, _CAUSES), "inconclusive", name)
            elif policy == USE and name != Cause.PARTIAL.word:
                self._add(f"'{USE}' is a policy for partial answers only", "", "inconclusive", name)
            elif policy not in _POLICIES:
                self._add(f"unknown policy {policy!r}", near(policy, _POLICIES), "inconclusive", name)
        return {_CAUSES[name]: policy for name, policy in rule.inconclusive.items() if name in _CAUSES}
