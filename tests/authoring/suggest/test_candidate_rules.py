"""Rules on candidate metrics."""

from __future__ import annotations

from typing import cast

import pytest
import yaml

from bridge.authoring.suggest.candidate_rules import CandidateRule, candidate_rules, rule_file
from bridge.authoring.suggest.candidates import Candidate
from bridge.authoring.suggest.suggest import Suggestion
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import LabelRef, ModelLabels
from bridge.sources.prometheus import PrometheusSource
from tests.support.world import A, B, ScriptedSource

NOW = 1_700_000_000_000
OWN = ModelLabels(LabelRef(const="default"), LabelRef("model"), LabelRef(const="live"))


def candidate(metric: str, kind: str, mapping: ModelLabels | None = None, *, labelled: bool = True) -> Candidate:
    return Candidate(metric, kind, f"max by (pipeline) ({metric})", labelled, mapping)


def rules(*items: Candidate, failing: str = "") -> list[CandidateRule]:
    source = ScriptedSource(ModelTable())
    for item in items:
        source.script[item.metric, NOW] = {A: 0.5, B: 0.5} if item.kind != "none" else {}
    if failing:
        source.script[failing, NOW] = SourceError("cut off", reason="timeout", transient=True)
    suggestion = Suggestion(9, candidates=items)
    found, notes = candidate_rules(cast("PrometheusSource", source), suggestion, NOW)
    assert notes == ([f"no rule for {failing}: its query failed (cut off)"] if failing else [])
    return found


@pytest.mark.parametrize(
    ("metric", "kind", "signal", "strategy", "retrains"),
    [
        ("churn_drift", "drift", "event: custom", "{auto: {side: up}}", True),
        ("churn_accuracy", "quality", "event: custom", "{auto: {side: down}}", True),
        ("churn_rmse", "quality", "event: custom", "{auto: {side: up}}", True),
        ("model_errors_total", "errors", "event: custom", "{auto: {side: up}}", False),
        ("score_latency_ms", "latency", "event: latency, unit: milliseconds", "", False),
        ("score_latency", "latency", "event: latency, unit: seconds", "", False),
    ],
)
def test_a_rule_fits_the_kind_of_metric(metric: str, kind: str, signal: str, strategy: str, retrains: bool) -> None:
    """Drift and quality request retraining, the others notify; less accuracy is worse."""
    (found,) = rules(candidate(metric, kind))
    assert found.signal.startswith(f"{{{signal}, expr: ")
    assert (found.strategy, found.retrains, found.models) == (strategy, retrains, 2)


def test_metrics_without_models_get_no_rule() -> None:
    """Without labels, without a sample now, or without an answer."""
    items = [candidate("a_drift", "none"), candidate("b_drift", "drift", labelled=False), candidate("c_drift", "drift")]
    assert rules(*items, failing="c_drift") == []


def test_a_name_has_the_words_of_the_metric() -> None:
    (found,) = rules(candidate("vendor:churn_drift.score", "drift"))
    assert found.name == "VendorChurnDriftScoreUnusual"


def test_each_mapping_is_a_group_of_a_valid_file() -> None:
    found = rules(candidate("a_drift", "drift"), candidate("b_latency", "latency", OWN), candidate("c_drift", "drift"))
    file = yaml.safe_load(rule_file(found, "http://p"))
    first, second = file["groups"]
    assert [list(group["signals"]) for group in (first, second)] == [["a_drift", "c_drift"], ["b_latency"]]
    assert second["models"]["labels"] == {
        "project": {"const": "default"},
        "pipeline": "model",
        "version": {"const": "live"},
    }
    assert [next(iter(rule)) for rule in (*first["rules"], *second["rules"])] == ["retrain", "retrain", "alert"]
