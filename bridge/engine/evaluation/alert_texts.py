"""Labels and annotations of one rule's alerts: templates, their expansion, and what is frozen while alerts last."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

import msgspec

from bridge.domain.limits import LONGEST_TEXT, bounded, cut
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import Rule
from bridge.domain.times import Timestamp
from bridge.engine.evaluation.columns import EvaluatedColumns, RuleColumns
from bridge.engine.evaluation.evaluation import Evaluation, none_if_nan
from bridge.engine.evaluation.expansion import Expander
from bridge.templates.alert import AlertTemplate


class Numbers(msgspec.Struct, frozen=True, gc=False):
    """Numbers of a model that templates show. threshold: None without one."""

    value: float
    threshold: float | None
    at: Timestamp

    @staticmethod
    def of(columns: RuleColumns | EvaluatedColumns, row: int, at: Timestamp) -> Numbers:
        """Return the numbers of a model."""
        return Numbers(columns.value.item(row), none_if_nan(columns.threshold.item(row)), at)


@dataclass(slots=True)
class AlertTexts:
    """Labels and annotations of one rule's alerts, by row of the model.

    annotation_templates, label_templates: of the rule; label_templates has only the labels that are templates.
    series: labels of the samples of pending and firing models; frozen when the model begins to fire.
    expanded: the expanded label templates; frozen likewise.
    fixed: labels of every alert, None if they differ.
    """

    rule: Rule
    table: ModelTable
    annotation_templates: Mapping[str, AlertTemplate]
    label_templates: Mapping[str, AlertTemplate]
    series: dict[int, Mapping[str, str]] = field(default_factory=dict)
    expanded: dict[int, Mapping[str, str]] = field(default_factory=dict)
    expander: Expander = field(default_factory=Expander)
    fixed: Mapping[str, str] | None = field(init=False)

    def __post_init__(self) -> None:
        differ = self.label_templates or self.carries_series
        self.fixed = None if differ else bounded({name: text for name, text in self.rule.labels.items() if text})

    @staticmethod
    def of(rule: Rule, table: ModelTable) -> AlertTexts:
        """Return the texts of a rule without alerts."""
        annotations = {name: AlertTemplate(text, rule.alertname) for name, text in rule.annotations.items()}
        labels = {name: AlertTemplate(text, rule.alertname) for name, text in rule.labels.items() if "{{" in text}
        return AlertTexts(rule, table, annotations, labels)

    @property
    def carries_series(self) -> bool:
        """True if alerts and requests carry the labels of the series: for `expr` rules, as in Prometheus."""
        return self.rule.strategy is None and not self.rule.conditions

    def remember(self, evaluation: Evaluation) -> None:
        """Freeze the labels of models that become pending, and of those that begin to fire."""
        columns = evaluation.columns
        for row in (*evaluation.moves.pending.tolist(), *evaluation.moves.fired.tolist()):
            series, own = evaluation.series(row), self.table[row].labels()
            self.series[row] = series if own.items() <= series.items() else {**series, **own}
            if self.label_templates:
                numbers = Numbers.of(columns, row, evaluation.slot)
                self.expanded[row] = self._expand(self.label_templates, row, numbers)

    def forget_all_but(self, rows: Container[int]) -> None:
        """Drop the frozen labels of other models than those in `rows`."""
        self.series = {row: labels for row, labels in self.series.items() if row in rows}
        self.expanded = {row: labels for row, labels in self.expanded.items() if row in rows}

    def labels(self, row: int, numbers: Callable[[int], Numbers]) -> Mapping[str, str]:
        """Return the labels of a model's alert or request: the series', and over them the rule's.

        Without the model's own and `alertname`, which the notification adds. numbers: returns those of a model.
        """
        if self.fixed is not None:
            return self.fixed
        series = self.series.get(row, {}) if self.carries_series else {}
        own: dict[str, str] = dict(self.rule.labels)
        if self.label_templates:
            own |= self.expanded.get(row) or self._expand(self.label_templates, row, numbers(row))
        if series:
            taken = {*ModelKey.__struct_fields__, *own, "__name__"}
            own |= {name: text for name, text in sorted(series.items()) if name not in taken}
        return bounded({name: text for name, text in own.items() if text})

    def annotations(self, row: int, numbers: Numbers) -> dict[str, str]:
        """Return the rule's annotations for a model, expanded with its current numbers."""
        return self._expand(self.annotation_templates, row, numbers)

    def _expand(self, templates: Mapping[str, AlertTemplate], row: int, numbers: Numbers) -> dict[str, str]:
        if not templates:
            return {}
        labels = self.series.get(row) or self.table[row].labels()
        value, threshold, at, expand = numbers.value, numbers.threshold, numbers.at, self.expander.expand
        return {
            name: cut(expand(template, labels, value, threshold, at), LONGEST_TEXT)
            for name, template in templates.items()
        }
