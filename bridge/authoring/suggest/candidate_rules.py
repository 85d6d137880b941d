"""Rules on candidate metrics: those whose query gives models now, one signal and one rule for each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.authoring.suggest import rule_packs
from bridge.authoring.suggest.candidates import Candidate
from bridge.authoring.suggest.mappings import mapping_text
from bridge.authoring.suggest.suggest import Suggestion
from bridge.config.promql import WINDOW
from bridge.domain.batch import VALUE, EventKind
from bridge.domain.errors import SourceError
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.domain.times import Timestamp
from bridge.sources.prometheus import PrometheusSource

_UNITS = (
    ("microseconds", r"_microseconds|_us(?:_|$)"), ("milliseconds", r"_milliseconds|_ms(?:_|$)|_millis(?:_|$)"),
    ("minutes", r"_minutes"), ("seconds", r""),
)  # fmt: skip
_LESS_IS_WORSE = re.compile(r"accuracy|precision|recall|(?:^|_)(?:auc|f1)(?:_|$)", re.IGNORECASE)
_CAMEL = re.compile(r"[^a-zA-Z0-9]+")


@dataclass(frozen=True, slots=True)
class CandidateRule:
    """Rule on one metric.

    models: number of models with a sample now. mapping: labels that name them. signal: YAML of the signal's value.
    strategy: YAML, "" for the default. retrains: requests retraining; otherwise it notifies.
    """

    metric: str
    models: int
    mapping: ModelLabels
    signal: str
    strategy: str
    retrains: bool

    @property
    def name(self) -> str:
        """Name of the rule: the words of the metric, and what is unusual about it."""
        words = "".join(word[:1].upper() + word[1:] for word in _CAMEL.split(self.metric) if word)
        return f"{words}Unusual"


def candidate_rules(
    source: PrometheusSource, suggestion: Suggestion, now: Timestamp
) -> tuple[list[CandidateRule], list[str]]:
    """Return a rule for each candidate whose expression gives at least one model now, and notes on failed queries."""
    rules, notes = [], []
    for item in suggestion.candidates:
        if not item.labelled:
            continue
        mapping = item.mapping or ModelLabels()
        exprs = {VALUE: item.expr.replace(WINDOW, "5m")}
        try:
            batch = source.instant(SignalQuery(item.metric, EventKind.CUSTOM, exprs, mapping), now, now)
        except SourceError as error:
            notes.append(f"no rule for {item.metric}: its query failed ({error})")
            continue
        if len(batch):
            rules.append(_rule(item, len(batch), mapping))
    return rules, notes


def _rule(item: Candidate, models: int, mapping: ModelLabels) -> CandidateRule:
    expr = json.dumps(item.expr)
    if item.kind == "latency":
        unit = next(unit for unit, pattern in _UNITS if re.search(pattern, item.metric))
        return CandidateRule(
            item.metric, models, mapping, f"{{event: latency, unit: {unit}, expr: {expr}}}", "", retrains=False
        )
    side = "down" if _LESS_IS_WORSE.search(item.metric) else "up"
    strategy = f"{{auto: {{side: {side}}}}}"
    retrains = item.kind in {"drift", "quality"}
    return CandidateRule(item.metric, models, mapping, f"{{event: custom, expr: {expr}}}", strategy, retrains)


def rule_file(rules: Iterable[CandidateRule], url: str) -> str:
    """Return a rule file with one group for each label mapping. Raises ConfigError if it were not valid."""
    groups: dict[ModelLabels, list[CandidateRule]] = {}
    for rule in rules:
        groups.setdefault(rule.mapping, []).append(rule)
    lines = [
        f"# Rules on metrics of {url} that look like signals of models: a guess by their names and labels.",
        "# Remove what does not belong to a model. Latencies and errors notify; drift and quality request retraining.",
        "groups:",
    ]
    for number, (mapping, members) in enumerate(groups.items(), 1):
        lines += [f"- name: metrics-{number}", f"  models: {{labels: {mapping_text(mapping)}}}", "  signals:"]
        lines += [f"    {json.dumps(rule.metric)}: {rule.signal}" for rule in members]
        lines += ["  rules:"]
        for rule in members:
            strategy = f", strategy: {rule.strategy}" if rule.strategy else ""
            kind = "retrain" if rule.retrains else "alert"
            lines.append(f"  - {{{kind}: {rule.name}, signal: {json.dumps(rule.metric)}{strategy}}}")
    text = "\n".join(lines) + "\n"
    rule_packs.read(text, "rules on metrics")
    return text
