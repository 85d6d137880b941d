"""Rules as the engine takes them: what the files say, checked and resolved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from bridge.domain.batch import EventKind
from bridge.domain.model import ModelKey
from bridge.domain.times import DAY, HOUR, MINUTE, Duration, Timestamp
from bridge.domain.verdict import Cause


@dataclass(frozen=True, slots=True)
class LabelRef:
    """Where one part of a ModelKey comes from: a series label, or a constant."""

    label: str = ""
    const: str | None = None


@dataclass(frozen=True, slots=True)
class ModelLabels:
    """Where the three parts of a ModelKey come from."""

    project: LabelRef = LabelRef("project")
    pipeline: LabelRef = LabelRef("pipeline")
    version: LabelRef = LabelRef("version")

    @staticmethod
    def constant(text: str) -> ModelLabels:
        """Every series is the same model: for questions about a whole server."""
        return ModelLabels(*(LabelRef(const=text) for _ in range(3)))

    def key(self, series: Mapping[str, str]) -> ModelKey | str:
        """The model of a label set, or the name of the label that is missing (an empty value is missing)."""
        parts = []
        for ref in (self.project, self.pipeline, self.version):
            value = ref.const if ref.const is not None else series.get(ref.label, "")
            if not value:
                return ref.label
            parts.append(value)
        return ModelKey(*parts)


@dataclass(frozen=True, slots=True)
class SignalQuery:
    """One signal: one query per column, for all models at once.

    name: the signal's name, or for a plain `expr` rule the rule's. exprs: column -> PromQL, `$window` already replaced.
    unit_ms: milliseconds per unit for a latency, else 1. limit: most series an answer may hold, 0 = any.
    stale_after: age in ms from which a number is stale, by the column `updated`; 0 = none is. window: what `$window`
    was, in ms; 0 = no expression has it.
    """

    name: str
    event: EventKind
    exprs: Mapping[str, str]
    mapping: ModelLabels = ModelLabels()
    unit: str = ""
    unit_ms: float = 1.0
    limit: int = 0
    stale_after: Duration = 0
    window: Duration = 0


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """A strategy by name, with checked parameters as JSON values (numbers in the signal's unit)."""

    name: str
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


class RuleKind(StrEnum):
    """What a rule does when it fires."""

    RETRAIN = "retrain"  # asks for a retraining
    ALERT = "alert"  # tells people, and never asks


class Mode(StrEnum):
    """How far a rule may go."""

    LIVE = "live"
    DRY_RUN = "dry_run"  # decided and recorded like a live one, never sent
    SHADOW = "shadow"  # decided beside the others, which do not notice it


@dataclass(frozen=True, slots=True)
class Cooldown:
    """How long after a retraining of a pipeline the next one waits. max 0: it does not grow."""

    base: Duration = HOUR
    max: Duration = 0
    factor: float = 2.0

    def after(self, unhelpful: int) -> Duration:
        """The wait after so many retrainings in a row that did not help."""
        if self.max <= self.base:
            return self.base
        grown = self.base * self.factor ** min(unhelpful, 64)
        return int(min(grown, self.max))


@dataclass(frozen=True, slots=True)
class Breaches:
    """N of M: breached while at least `at_least` of the last `of` conclusive slots were; `of` is at most 64."""

    at_least: int
    of: int


@dataclass(frozen=True, slots=True)
class Condition:
    """One part of a composite rule. query: key in Group.queries.

    strategy None: judged by the group's rules on the query. healthy: the other way round, it holds while all is well.
    """

    query: str
    strategy: StrategySpec | None = None
    healthy: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One `retrain:` or `alert:` rule.

    query: key in Group.queries. strategy: None for a plain `expr` rule (a series in the answer is breached, an
    absent one healthy). order: place over all files; the lowest of the rules that fire together leads.
    annotations: templates as written. policies: cause -> "keep" | "ok" | "fire", for PARTIAL
    also "use"; causes not named are kept.
    warm_up: how long nothing is said of a model that is new, in ms.
    breaches: None when `for` decides. n_min: observations below which a number says nothing, 0 = any.
    conditions: of a composite rule, which is breached while `at_least` of them hold; `query` is the first one's.
    max_attempts: requests of one episode before people are asked instead, 0 = no limit.
    name: unique over all files. alert_name: the name as written where `name` says more, because rules share it.
    fdr: greatest share of false ones among the models that are breached in one slot, 0 = each is judged by itself.
    """

    name: str
    group: str
    query: str
    strategy: StrategySpec | None = None
    for_: Duration = 0
    keep_firing_for: Duration = 0
    cooldown: Cooldown = Cooldown()
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    policies: Mapping[Cause, str] = field(default_factory=lambda: MappingProxyType({}))
    order: int = 0
    file: str = ""
    line: int = 0
    kind: RuleKind = RuleKind.RETRAIN
    mode: Mode = Mode.LIVE
    breaches: Breaches | None = None
    n_min: float = 0.0
    warm_up: Duration = 0
    conditions: tuple[Condition, ...] = ()
    at_least: int = 0
    approval: bool = False
    max_attempts: int = 0
    fdr: float = 0.0
    alert_name: str = ""

    @property
    def alertname(self) -> str:
        """The name as written, which several rules may share; `name` tells them apart."""
        return self.alert_name or self.name

    @property
    def queries(self) -> tuple[str, ...]:
        """The keys in Group.queries of all that it reads, each once."""
        return tuple(dict.fromkeys(item.query for item in self.conditions)) or (self.query,)


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """A recording rule, which is left with Prometheus; only unit tests evaluate it."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    line: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, at slots aligned to `interval` plus a hash of the name.

    offset: queries are made at slot - offset (`query_offset`). fixed_phase: None, or the phase in ms (tests).
    """

    name: str
    interval: Duration
    queries: Mapping[str, SignalQuery]
    rules: tuple[Rule, ...]
    offset: Duration = 0
    file: str = ""
    fixed_phase: Duration | None = None
    recordings: tuple[RecordingRule, ...] = ()

    @property
    def phase(self) -> Duration:
        """Shift of this group's slots within the interval, so that groups do not all ask at once; whole seconds."""
        if self.fixed_phase is not None:
            return self.fixed_phase
        digest = hashlib.sha256(self.name.encode()).digest()
        return int.from_bytes(digest[:8], "big") % max(1, self.interval // 1000) * 1000

    def slot_at(self, now: Timestamp) -> Timestamp:
        """The latest slot that is not after `now`."""
        return (now - self.phase) // self.interval * self.interval + self.phase

    def fingerprint(self, rule: Rule) -> str:
        """Hash of what changes a rule's meaning; state under another one is not this rule's."""
        meaning: list[Any] = [rule.name, *self._judged(rule.query, rule.strategy)]
        meaning += [[self._judged(item.query, item.strategy), item.healthy, rule.at_least] for item in rule.conditions]
        if rule.breaches is not None:
            meaning.append([rule.breaches.at_least, rule.breaches.of])
        if rule.fdr:
            meaning.append(["fdr", rule.fdr])
        if rule.kind is not RuleKind.RETRAIN or rule.mode is not Mode.LIVE:
            meaning.append([rule.kind, rule.mode])  # a rule that begins to ask, asks for what fires already
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]

    def signal_meaning(self, name: str) -> str:
        """Short hash of what a signal asks and of whom; models expected of another one are not expected of this."""
        told = json.dumps(self._judged(name, None), sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:8]

    def _judged(self, name: str, strategy: StrategySpec | None) -> list[Any]:
        """What a signal means to a rule."""
        query = self.queries[name]
        return [
            query.event,
            sorted(query.exprs.items()),
            [[ref.label, ref.const] for ref in (query.mapping.project, query.mapping.pipeline, query.mapping.version)],
            query.unit_ms,
            None if strategy is None else [strategy.name, dict(strategy.params)],
        ]


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `count` requests within any `window` ms."""

    count: int
    window: Duration


@dataclass(frozen=True, slots=True)
class Storm:
    """More than `share` of at least `min_models` models of a group begin to fire in one slot: all wait `hold` ms."""

    share: float
    min_models: int = 20
    hold: Duration = 30 * MINUTE


@dataclass(frozen=True, slots=True)
class Gates:
    """Limits on asking, over all rules. Durations in ms.

    budget: None = any number. settle: how long after a retraining its effect is judged. verdict_limit: when judging it
    is given up. silences_max_age: a list of silences that is older is unknown. hold_unknown: hold while it is.
    """

    in_flight_limit: Duration = DAY
    hold_limit: Duration = 7 * DAY
    per_pipeline: Budget | None = None
    per_project: Budget | None = None
    total: Budget | None = None
    storm: Storm | None = None
    settle: Duration = 5 * MINUTE
    verdict_limit: Duration = DAY
    silences_max_age: Duration = 5 * MINUTE
    hold_unknown: bool = False

    @property
    def longest_window(self) -> Duration:
        """How far back the budget looks."""
        return max((rate.window for rate in (self.per_pipeline, self.per_project, self.total) if rate), default=0)
