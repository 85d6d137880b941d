"""Alerting rules of a test as Prometheus itself evaluates them, for the series ALERTS and ALERTS_FOR_STATE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.domain.batch import VALUE
from bridge.domain.rule import Group, ModelLabels, Rule, RuleKind
from bridge.domain.times import Timestamp
from bridge.engine.evaluation.expansion import Expander
from bridge.templates.alert import AlertTemplate

LabelSet = frozenset[tuple[str, str]]
SERIES = ("ALERTS", "ALERTS_FOR_STATE")
_NAME = "__name__"


@dataclass(slots=True)
class PrometheusAlert:
    """Active alert. series: labels of its series. gone_at: since when keep_firing_for holds it, None = not held."""

    series: Mapping[str, str]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    active_at: Timestamp
    firing: bool = False
    gone_at: Timestamp | None = None


@dataclass(slots=True)
class AlertingRule:
    """`alert:` rule with an expression. mapping: of its series to models. active: its alerts, by their labels."""

    rule: Rule
    expr: str
    mapping: ModelLabels
    active: dict[LabelSet, PrometheusAlert] = field(default_factory=dict)

    @property
    def line(self) -> int:
        """Line in its file, to order the rules of a group."""
        return self.rule.line

    def advance(self, result: Iterable[Mapping[str, Any]], at: Timestamp, expander: Expander) -> dict[LabelSet, float]:
        """Take the samples of the expression at an instant; return the rule's own series. Raises ValueError."""
        found = {self._key(alert): alert for alert in self._alerts(result, at, expander)}
        for key, alert in found.items():
            before = self.active.get(key)
            alert.active_at = before.active_at if before is not None else at
            alert.firing = (before is not None and before.firing) or at - alert.active_at >= self.rule.for_
        held = {key: alert for key, alert in self.active.items() if key not in found and alert.firing}
        for alert in held.values():
            alert.gone_at = at if alert.gone_at is None else alert.gone_at
        keep = self.rule.keep_firing_for
        self.active = {**found, **{key: alert for key, alert in held.items() if at - (alert.gone_at or 0) < keep}}
        return {key: value for alert in self.active.values() for key, value in _series(alert)}

    def _alerts(
        self, result: Iterable[Mapping[str, Any]], at: Timestamp, expander: Expander
    ) -> Iterator[PrometheusAlert]:
        seen: set[LabelSet] = set()
        for item in result:
            series = dict(item["metric"])
            value = float(item["value"][1]) if "value" in item else float("nan")
            expanded = {
                name: expander.expand(AlertTemplate(text, self.rule.alertname), series, value, None, at)
                for name, text in self.rule.labels.items()
            }
            labels = {**series, **expanded, "alertname": self.rule.alertname}
            labels = {name: text for name, text in labels.items() if text and name != _NAME}
            annotations = {
                name: expander.expand(AlertTemplate(text, self.rule.alertname), series, value, None, at)
                for name, text in self.rule.annotations.items()
            }
            key = frozenset(labels.items())
            if key in seen:
                raise ValueError("vector contains metrics with the same labelset after applying alert labels")
            seen.add(key)
            yield PrometheusAlert(series, labels, annotations, at)

    @staticmethod
    def _key(alert: PrometheusAlert) -> LabelSet:
        return frozenset(alert.labels.items())

    def unmapped(self) -> list[PrometheusAlert]:
        """Return the firing alerts whose series belong to no model, which the bridge skips."""
        return [
            alert for alert in self.active.values() if alert.firing and isinstance(self.mapping.key(alert.series), str)
        ]


def _series(alert: PrometheusAlert) -> Iterator[tuple[LabelSet, float]]:
    """Yield the samples that Prometheus writes for an active alert."""
    state = "firing" if alert.firing else "pending"
    yield frozenset({**alert.labels, _NAME: SERIES[0], "alertstate": state}.items()), 1.0
    yield frozenset({**alert.labels, _NAME: SERIES[1]}.items()), float(alert.active_at // 1000)


def alerting_rules(group: Group) -> list[AlertingRule]:
    """Return the rules of a group that Prometheus could evaluate as alerts."""
    return [
        AlertingRule(rule, query.exprs[VALUE], query.mapping)
        for rule in group.rules
        if rule.kind is RuleKind.ALERT and rule.strategy is None and not rule.conditions
        and (query := group.queries[rule.query]).exprs.keys() == {VALUE}
    ]  # fmt: skip
