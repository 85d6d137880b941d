"""Rules as the engine takes them: what the files say, checked and resolved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bridge.domain.batch import EventKind
from bridge.domain.model import ModelKey
from bridge.domain.times import DAY, HOUR, Duration, Timestamp
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
    """

    name: str
    event: EventKind
    exprs: Mapping[str, str]
    mapping: ModelLabels = ModelLabels()
    unit: str = ""
    unit_ms: float = 1.0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """A strategy by name, with checked parameters as JSON values (numbers in the signal's unit)."""

    name: str
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Rule:
    """One `retrain:` rule.

    query: key in Group.queries. strategy: None for a plain `expr` rule (a series in the answer is breached, an
    absent one healthy). order: place over all files; the lowest of the rules that fire together leads.
    annotations: templates as written. policies: cause -> "keep" | "ok" | "fire"; causes not named are kept.
    """

    name: str
    group: str
    query: str
    strategy: StrategySpec | None = None
    for_: Duration = 0
    keep_firing_for: Duration = 0
    cooldown: Duration = HOUR
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    policies: Mapping[Cause, str] = field(default_factory=lambda: MappingProxyType({}))
    order: int = 0
    file: str = ""
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
        query = self.queries[rule.query]
        meaning = [
            rule.name,
            query.event,
            sorted(query.exprs.items()),
            [[ref.label, ref.const] for ref in (query.mapping.project, query.mapping.pipeline, query.mapping.version)],
            query.unit_ms,
            None if rule.strategy is None else [rule.strategy.name, dict(rule.strategy.params)],
        ]
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Gates:
    """Limits on asking, over all rules."""

    in_flight_limit: Duration = DAY
    hold_limit: Duration = 7 * DAY
