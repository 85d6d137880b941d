"""One `retrain:` rule of a rule file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, Field

from bridge.config.labels import check_labels, check_names
from bridge.config.promql import promql_problem
from bridge.config.shape import Section, Span, fixed, salvaged
from bridge.config.strategy import strategy_spec
from bridge.config.wording import near
from bridge.config.yaml import Document, Place
from bridge.domain.batch import VALUE, EventKind
from bridge.domain.rule import Cooldown, ModelLabels, Rule, SignalQuery, StrategySpec
from bridge.domain.template import Template
from bridge.domain.times import HOUR
from bridge.domain.verdict import Cause

_CAUSES = {cause.word: cause for cause in Cause if cause is not Cause.NONE}
_EITHER = "a rule has either 'expr', or 'signal' with 'strategy'"


class CooldownSection(Section):
    """`cooldown: {base: 6h}`."""

    not_built = frozenset({"max", "factor"})
    base: Span


def _cooldown(value: object) -> object:
    """`cooldown: 6h` is `cooldown: {base: 6h}`."""
    return value if isinstance(value, dict) else {"base": value}


class RuleSection(Section):
    """One rule."""

    not_built = frozenset(
        {"breaches", "all", "any", "healthy", "at_least", "n_min", "min_samples", "approval", "dry_run", "shadow",
         "max_attempts", "gates", "discover", "active_time_intervals", "mute_time_intervals"}
    )  # fmt: skip
    stand_ins = fixed(retrain="")
    retrain: str
    expr: str | None = None
    event: EventKind | None = None
    signal: str | None = None
    strategy: Any = None
    for_: Annotated[Span, Field(alias="for")] = 0
    keep_firing_for: Span = 0
    cooldown: Annotated[CooldownSection, BeforeValidator(_cooldown)] = CooldownSection.model_construct(base=HOUR)
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    inconclusive: Mapping[str, str] = Field(default_factory=dict)


class Surroundings(Protocol):
    """What a rule takes from its group. queries: name -> query, None for a signal that is wrong itself."""

    name: str
    labels: Mapping[str, str]
    limit: int
    mapping: ModelLabels
    signals: frozenset[str]
    queries: dict[str, SignalQuery | None]
    taken: dict[str, str]

    def number(self, rule: str, place: Place) -> int:
        """The rule's place over all files; a second rule of that name is noted."""


class RuleReader:
    """Reads one rule; every problem is noted in `document`."""

    def __init__(self, value: object, document: Document, place: Place, group: Surroundings) -> None:
        self._value = value
        self._document = document
        self._place = place
        self._group = group

    def read(self) -> Rule | None:
        """The rule; None: nothing of it could be used."""
        if self._is_another_kind():
            return None
        section = salvaged(RuleSection, self._value, self._document, self._place)
        if section is None:
            return None
        group = self._group
        check_labels(section.labels, self._document, (*self._place, "labels"), group.taken)
        self._check_annotations(section)
        query, strategy = self._judgement(section)
        return Rule(
            name=section.retrain,
            group=group.name,
            query=query,
            strategy=strategy,
            for_=section.for_,
            keep_firing_for=section.keep_firing_for,
            cooldown=Cooldown(section.cooldown.base),
            labels={**group.labels, **section.labels},
            annotations=dict(section.annotations),
            policies=self._policies(section),
            order=group.number(section.retrain, (*self._place, "retrain")),
            file=self._document.file,
            line=self._document.line((*self._place, "retrain")),
        )

    def _given(self, key: str) -> bool:
        """Whether the rule has the key, with whatever value."""
        return (*self._place, key) in self._document.lines

    def _is_another_kind(self) -> bool:
        """An `alert:` or `record:` of Prometheus that was pasted."""
        if self._given("retrain"):
            return False
        if self._given("alert"):
            hint = "write 'retrain: NAME' to ask for a retraining, or leave the alert with Prometheus"
            self._add("'alert' is not built yet", hint, "alert")
        elif self._given("record"):
            self._add("a recording rule is not for the bridge", "leave it with Prometheus", "record")
        return self._given("alert") or self._given("record")

    def _add(self, message: str, hint: str = "", *path: str | int) -> None:
        self._document.add((*self._place, *path), message, hint)

    def _judgement(self, rule: RuleSection) -> tuple[str, StrategySpec | None]:
        """The key of the rule's query (its signal, or one of its own for a plain `expr`), and its strategy."""
        if self._given("expr") == self._given("signal"):
            self._add(_EITHER)
        elif self._given("expr"):
            self._own_query(rule)
            return rule.retrain, None
        elif rule.signal is not None:
            return rule.signal, self._strategy(rule, rule.signal)
        return "", None

    def _strategy(self, rule: RuleSection, signal: str) -> StrategySpec | None:
        if self._given("event"):
            self._add("'event' goes with 'expr'; the signal has its own", "remove it", "event")
        known = self._group.signals
        if signal not in known:
            self._add(f"there is no signal {signal!r} in this group", near(signal, known), "signal")
        where = (*self._place, "strategy")
        if not self._given("strategy"):
            self._add("key 'strategy' is missing", "for example strategy: {threshold: {max: 0.6}}")
            return None
        if self._document.told(where):
            return None
        return strategy_spec(rule.strategy, self._group.queries.get(signal), self._document, where)

    def _own_query(self, rule: RuleSection) -> None:
        if self._given("strategy"):
            hint = "the expression decides; make it a signal to use a strategy"
            self._add("'strategy' does not go with 'expr'", hint, "strategy")
        if rule.retrain in self._group.signals:
            self._add(f"{rule.retrain!r} is the name of a signal as well", "rename one", "retrain")
            return
        if rule.expr is not None and (problem := promql_problem(rule.expr)):
            self._add(problem, "", "expr")
        event, exprs = rule.event or EventKind.CUSTOM, {VALUE: rule.expr or ""}
        query = SignalQuery(rule.retrain, event, exprs, self._group.mapping, limit=self._group.limit)
        self._group.queries[rule.retrain] = query

    def _check_annotations(self, rule: RuleSection) -> None:
        check_names(rule.annotations, self._document, (*self._place, "annotations"))
        for name, text in rule.annotations.items():
            try:
                Template(text)
            except ValueError as error:
                self._add(str(error), "", "annotations", name)

    def _policies(self, rule: RuleSection) -> dict[Cause, str]:
        for name, policy in rule.inconclusive.items():
            if name not in _CAUSES:
                self._add(f"unknown cause {name!r}", near(name, _CAUSES), "inconclusive", name)
            elif policy in {"ok", "fire"}:
                self._add(f"policy {policy!r} is not built yet", "keep is", "inconclusive", name)
            elif policy != "keep":
                self._add(f"unknown policy {policy!r}", near(policy, ("keep",)), "inconclusive", name)
        return {_CAUSES[name]: policy for name, policy in rule.inconclusive.items() if name in _CAUSES}
