"""Label mappings of metrics, read from their series."""

from __future__ import annotations

from bridge.domain.rule import LabelRef, ModelLabels
from tests.authoring.suggest.test_suggest import Labelled, Source, found


def test_a_mapping_of_constants_has_no_labels() -> None:
    """Every series would belong to the same model."""
    constant = ModelLabels(*(LabelRef(const="x"),) * 3)
    source = Source(["churn_model_accuracy"], labelled=["churn_model_accuracy"])
    assert [item.labelled for item in found(source, constant).candidates] == [False]
    assert [item.labelled for item in found(source).candidates] == [True]


def test_the_mapping_of_a_candidate_is_read_from_its_series() -> None:
    """The usual labels of models, versions and projects; what has none is a constant."""
    source = Labelled({
        "chat_latency_seconds_bucket": ["model_name", "le"],
        "churn_model_accuracy": ["project", "pipeline", "version"],
        "request_abort_total": ["model", "namespace", "version"],
        "queue_latency_seconds": ["queue"],
    })  # fmt: skip
    assert [item.to_json() for item in found(source).candidates] == [
        {"metric": "churn_model_accuracy", "kind": "quality", "labelled": True,
         "expr": "avg by (project, pipeline, version) (churn_model_accuracy)"},
        {"metric": "chat_latency_seconds_bucket", "kind": "latency", "labelled": True,
         "expr": "histogram_quantile(0.95, sum by (model_name, le) (rate(chat_latency_seconds_bucket[$window])))",
         "models": '{project: {const: "default"}, pipeline: model_name, version: {const: "live"}}'},
        {"metric": "request_abort_total", "kind": "errors", "labelled": True,
         "expr": "sum by (namespace, model, version) (increase(request_abort_total[$window]))",
         "models": "{project: namespace, pipeline: model, version: version}"},
    ]  # fmt: skip
