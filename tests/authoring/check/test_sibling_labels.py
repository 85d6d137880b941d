"""Labels under which models are siblings. tests/integration has them on a real Prometheus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.authoring.check.sibling_labels import candidates, sibling_labels
from bridge.config.load import BridgeConfig, load
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import LabelRef, ModelLabels
from bridge.ports import Sample
from bridge.sources.prometheus import PrometheusSource
from tests.support.world import A, ScriptedSource

NOW = 1_700_000_000_000
FAILED = SourceError("cut off", reason="timeout", transient=True)
TEXT = """
prometheus: {{url: http://localhost:1}}
rule_files: [rules.yml]
route: {{receiver: team}}
receivers: [{{name: team, log_configs: [{{}}]}}]
{more}
"""
RULES = "groups:\n- name: g\n  signals: {drift: {event: drift, expr: d}}\n  rules: [{retrain: R, signal: drift}]\n"


class Source:
    """Prometheus with label names. values: label -> number of pipelines of each of its values."""

    def __init__(self, values: dict[str, list[int]] | SourceError) -> None:
        self.values = values
        self.asked: list[str] = []

    def label_names(self, selector: str, since: int, until: int) -> list[str]:
        if isinstance(self.values, SourceError):
            raise self.values
        return ["__name__", "job", "pipeline", "project", "version", *self.values]

    def evaluate(self, expr: str, at: int) -> list[Sample]:
        self.asked.append(expr)
        assert isinstance(self.values, dict)
        label = expr.removeprefix("count by (").partition(")")[0]
        return [Sample({label: str(number)}, float(count)) for number, count in enumerate(self.values[label])]


def configured(folder: Path, more: str = "") -> BridgeConfig:
    (folder / "bridge.yml").write_text(TEXT.format(more=more))
    (folder / "rules.yml").write_text(RULES)
    return load(folder / "bridge.yml")


def test_labels_that_several_models_share_are_candidates(tmp_path: Path) -> None:
    """At least two values with three pipelines each; those with most values first. A model's own labels are none."""
    values = {"node": [3, 4, 5], "pod": [1, 1, 1], "zone": [9], "rack": [3, 3, 2]}
    source = Source(values)
    found = candidates(configured(tmp_path), cast("PrometheusSource", source), NOW)
    assert found == [("node", 3), ("rack", 2)]
    assert len(source.asked) == len(values)


def test_the_warning_has_the_setting_to_write(tmp_path: Path) -> None:
    (problem,) = sibling_labels(configured(tmp_path), cast("PrometheusSource", Source({"node": [3, 3]})), NOW)
    assert problem.lint == "sibling-labels"
    assert "node (2 values with 3 models or more)" in problem.message
    assert "shared_cause: {labels: [node]}" in problem.hint


@pytest.mark.parametrize("values", [{}, {"pod": [1]}, FAILED])
def test_without_candidates_there_is_no_warning(tmp_path: Path, values: Any) -> None:
    """Nor when the query fails."""
    assert list(sibling_labels(configured(tmp_path), cast("PrometheusSource", Source(values)), NOW)) == []


def test_constant_models_have_no_siblings(tmp_path: Path) -> None:
    constant = replace(configured(tmp_path), models=ModelLabels(*(LabelRef(const="x"),) * 3))
    source = Source({"node": [3, 3]})
    assert (candidates(constant, cast("PrometheusSource", source), NOW), source.asked) == ([], [])


def test_configured_labels_that_no_signal_has_are_reported(tmp_path: Path) -> None:
    """`project` is a label of every model; without any sample nothing is known."""
    config = configured(tmp_path, "gates: {shared_cause: {labels: [project, instance, node]}}")
    scripted = ScriptedSource(ModelTable())
    group = config.groups[0]
    assert list(sibling_labels(config, cast("PrometheusSource", scripted), NOW)) == []
    scripted.script["drift", NOW - group.offset] = {A: 0.5}
    (problem,) = sibling_labels(config, cast("PrometheusSource", scripted), NOW)
    assert "no signal of a rule has the label 'node'" in problem.message
    scripted.down = FAILED
    assert list(sibling_labels(config, cast("PrometheusSource", scripted), NOW)) == []
