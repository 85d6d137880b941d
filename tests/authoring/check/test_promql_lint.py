"""Warnings about expressions that say something else than was probably meant."""

from __future__ import annotations

import pytest

from bridge.authoring.check.promql_lint import always_in_result, dropped_labels
from bridge.domain.batch import VALUE, EventKind
from bridge.domain.rule import LabelRef, ModelLabels, RuleKind, SignalQuery
from tests.support.world import rule


def query(expr: str, mapping: ModelLabels | None = None) -> SignalQuery:
    return SignalQuery("drift", EventKind.DRIFT, {VALUE: expr}, mapping or ModelLabels())


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ("drift > 0.6", ""),
        ("drift > bool 0.6", "with 'bool', a comparison always returns a series"),
        ("drift", "the expression has no comparison"),
        ("rate(errors_total[5m])", "the expression has no comparison"),
        ("absent(drift)", ""),
        ("drift >", ""),  # an error of its own
    ],
)
def test_an_expression_without_a_comparison_always_fires(expr: str, message: str) -> None:
    found = [item.message for item in always_in_result(rule(limit=None), query(expr))]
    assert (len(found), message in "".join(found)) == (1 if message else 0, True), found


def test_an_alert_may_fire_always_on_purpose() -> None:
    """As a dead man's switch; a retrain rule may not."""
    switch = query("vector(1)")
    assert list(always_in_result(rule(limit=None, kind=RuleKind.ALERT), switch)) == []
    assert len(list(always_in_result(rule(limit=None), switch))) == 1


@pytest.mark.parametrize(
    ("expr", "dropped"),
    [
        ("max by (project, pipeline, version) (drift)", ""),
        ("max by (project, pipeline) (drift)", "label version"),
        ("max (drift)", "labels project, pipeline, version"),
        ("max without (version) (drift)", "label version"),
        ("drift", ""),
        ("max by (", ""),
    ],
)
def test_an_aggregation_that_drops_a_model_label(expr: str, dropped: str) -> None:
    found = [item.message for item in dropped_labels(query(expr))]
    assert found == ([f"drift: the expression drops the model {dropped}"] if dropped else [])


def test_a_constant_needs_no_label() -> None:
    mapping = ModelLabels(LabelRef(const="shop"), LabelRef("model"), LabelRef(const="live"))
    assert list(dropped_labels(query("max by (model) (drift)", mapping))) == []
    (warning,) = dropped_labels(query("max (drift)", mapping))
    assert "keep model in by (...)" in warning.hint
