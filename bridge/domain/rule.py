"""Rules as the engine uses them: the content of the files, validated and resolved."""

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
    """Source of one part of a ModelKey: a series label, or a constant."""

    label: str = ""
    const: str | None = None


@dataclass(frozen=True, slots=True)
class ModelLabels:
    """Sources of the three parts of a ModelKey."""

    project: LabelRef = LabelRef("project")
    pipeline: LabelRef = LabelRef("pipeline")
    version: LabelRef = LabelRef("version")

    @staticmethod
    def constant(text: str) -> ModelLabels:
        """Return a mapping under which every series is the same model, for queries about a whole server."""
        return ModelLabels(*(LabelRef(const=text) for _ in range(3)))

    def key(self, series: Mapping[str, str]) -> ModelKey | str:
        """Return the model of a label set, or the name of the missing label (an empty value counts as missing)."""
        parts = []
        for ref in (self.project, self.pipeline, self.version):
            value = ref.const if ref.const is not None else series.get(ref.label, "")
            if not value:
                return ref.label
            parts.append(value)
        return ModelKey(*parts)

    def described(self) -> str:
        """Return the label of each part that is read from the series, such as `pipeline: job, version: instance`."""
        parts = {"project": self.project, "pipeline": self.pipeline, "version": self.version}
        return ", ".join(f"{part}: {ref.label}" for part, ref in parts.items() if ref.const is None)


DEFAULT_SERVER = "prometheus"  # the server of the `prometheus` section


@dataclass(frozen=True, slots=True)
class SignalQuery:
    """Queries of one signal for all models, one per column.

    name: name of the signal, or of the rule for a plain `expr` rule.
    exprs: column -> PromQL with `$window` replaced.
    unit_ms: milliseconds per unit for a latency, else 1.
    limit: maximum number of series in a response, 0 = no limit.
    stale_after: age of the `updated` column in ms from which a sample is stale, 0 = never.
    window: value of `$window` in ms, 0 = no expression uses it.
    server: name of the server that is queried.
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
    server: str = DEFAULT_SERVER


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """Strategy by name, with validated parameters as JSON values (numbers in the signal's unit)."""

    name: str
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


class RuleKind(StrEnum):
    """Effect of a rule that fires."""

    RETRAIN = "retrain"  # requests a retraining
    ALERT = "alert"  # notifies people, never requests a retraining


class Mode(StrEnum):
    """Extent to which a rule takes effect."""

    LIVE = "live"
    DRY_RUN = "dry_run"  # decided and recorded like a live one, never sent
    SHADOW = "shadow"  # decided and recorded, without effect on other rules


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Minimum time between a retraining of a pipeline and the next request.

    max: upper limit of the growing cooldown, 0 = it does not grow.
    factor: growth per retraining that did not help.
    """

    base: Duration = HOUR
    max: Duration = 0
    factor: float = 2.0

    def after(self, unhelpful: int) -> Duration:
        """Return the cooldown after `unhelpful` retrainings in a row that did not help."""
        if self.max <= self.base:
            return self.base
        grown = self.base * self.factor ** min(unhelpful, 64)
        return int(min(grown, self.max))


@dataclass(frozen=True, slots=True)
class Breaches:
    """N of M: breached if at least `at_least` of the last `of` conclusive slots were; `of` is at most 64."""

    at_least: int
    of: int


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a composite rule.

    query: key in Group.queries.
    strategy: None = the group's rules on the query decide.
    healthy: True = the condition is inverted: it holds while the signal is healthy.
    """

    query: str
    strategy: StrategySpec | None = None
    healthy: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Validated `retrain:` or `alert:` rule. Durations in ms.

    query: key in Group.queries; for a composite rule that of the first condition.
    strategy: None for a plain `expr` rule: a series in the response is breached, an absent one healthy.
    annotations: templates as written.
    policies: cause -> "keep" | "ok" | "fire", for PARTIAL also "use"; the default is "keep".
    order: position over all files; the lowest of the rules that fire together leads.
    breaches: None = `for` decides.
    n_min: minimum number of observations behind a sample, 0 = any.
    warm_up: time after a model's first sample without verdicts.
    conditions: of a composite rule, which is breached while `at_least` of them hold.
    max_attempts: number of retrainings in a row that did not help before an operator must decide, 0 = no limit.
    name: unique over all files. alert_name: the name as written where `name` says more, because rules share it.
    fdr: false discovery rate among the models that are breached in one slot, 0 = no correction.
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
        """The name as written, which several rules may share; `name` is unique."""
        return self.alert_name or self.name

    @property
    def requests_retraining(self) -> bool:
        """True if the rule makes requests, also those of a dry run."""
        return self.kind is RuleKind.RETRAIN and self.mode is not Mode.SHADOW

    @property
    def queries(self) -> tuple[str, ...]:
        """Keys in Group.queries of everything the rule reads, without duplicates."""
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

    offset: `query_offset` in ms: queries are evaluated at slot - offset.
    fixed_phase: phase in ms for tests; None = derived from the name.
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
        """Shift of the group's slots within the interval, in whole seconds as ms; spreads the groups' queries."""
        if self.fixed_phase is not None:
            return self.fixed_phase
        digest = hashlib.sha256(self.name.encode()).digest()
        return int.from_bytes(digest[:8], "big") % max(1, self.interval // 1000) * 1000

    def slot_at(self, now: Timestamp) -> Timestamp:
        """Return the latest slot that is not after `now`."""
        return (now - self.phase) // self.interval * self.interval + self.phase

    def fingerprint(self, rule: Rule) -> str:
        """Return a hash of everything that changes the rule's meaning; state is kept only under an equal one."""
        meaning: list[Any] = [rule.name, *self._signal(rule.query, rule.strategy)]
        meaning += [[self._signal(item.query, item.strategy), item.healthy, rule.at_least] for item in rule.conditions]
        if rule.breaches is not None:
            meaning.append([rule.breaches.at_least, rule.breaches.of])
        if rule.fdr:
            meaning.append(["fdr", rule.fdr])
        if rule.kind is not RuleKind.RETRAIN or rule.mode is not Mode.LIVE:
            meaning.append([rule.kind, rule.mode])  # once live, it also requests for models that fire already
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]

    def signal_meaning(self, name: str) -> str:
        """Return a short hash of a signal's queries and label mapping; expected models are kept per hash."""
        meaning = json.dumps(self._signal(name, None), sort_keys=True)
        return hashlib.sha256(meaning.encode()).hexdigest()[:8]

    def _signal(self, name: str, strategy: StrategySpec | None) -> list[Any]:
        """Return the parts of a signal that change a rule's meaning."""
        query = self.queries[name]
        return [
            query.event,
            sorted(query.exprs.items()),
            [[ref.label, ref.const] for ref in (query.mapping.project, query.mapping.pipeline, query.mapping.version)],
            query.unit_ms,
            None if strategy is None else [strategy.name, dict(strategy.params)],
            *([query.server] if query.server != DEFAULT_SERVER else []),
        ]


@dataclass(frozen=True, slots=True)
class Budget:
    """Limit of at most `count` requests within any `window` ms."""

    count: int
    window: Duration


@dataclass(frozen=True, slots=True)
class Storm:
    """Storm threshold: more than `share` of at least `min_models` models of a group start firing in one slot.

    hold: how long their requests are held, in ms.
    """

    share: float
    min_models: int = 20
    hold: Duration = 30 * MINUTE


@dataclass(frozen=True, slots=True)
class SharedCauses:
    """Settings for weighing breaches against those of sibling models. Durations in ms.

    labels: labels of series, or `project`, whose equal values make models siblings.
    share: smallest unhealthy share of the siblings.
    min_models: smallest number of unhealthy siblings, the model included.
    window: largest time between the breaches of siblings; also how long the siblings must be healthy again.
    wait: time from a model's breach to its request, in which its siblings may follow.
    """

    labels: tuple[str, ...] = ()
    share: float = 0.2
    min_models: int = 3
    window: Duration = HOUR
    wait: Duration = 15 * MINUTE


@dataclass(frozen=True, slots=True)
class Gates:
    """Limits on requests over all rules. Durations in ms.

    per_pipeline, per_project, total: budgets, None = no limit.
    settle: time after a retraining before its effect is evaluated.
    verdict_limit: time after which the recovery verdict becomes inconclusive.
    silences_max_age: age from which the list of silences counts as unknown.
    hold_unknown: True = hold requests while the silences are unknown.
    shared_cause: None = breaches are not weighed against siblings.
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
    shared_cause: SharedCauses | None = None
