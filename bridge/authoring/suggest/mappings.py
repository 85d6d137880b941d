"""Label mapping of metrics outside the rule packs, read from their series."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from bridge.domain.errors import SourceError
from bridge.domain.rule import LabelRef, ModelLabels
from bridge.domain.times import Timestamp
from bridge.sources.prometheus import PrometheusSource

# Labels that name a model, the usual ones first; a service or a deployment may be anything.
PIPELINES = (
    "model_name", "model", "modelName", "model_id", "ml_model", "served_model_name", "pipeline", "predictor_name",
    "gen_ai_request_model", "gen_ai.request.model", "gen_ai.response.model",
)  # fmt: skip
VERSIONS = ("model_version", "version", "modelVersion", "revision", "model_revision")
PROJECTS = ("project", "team", "namespace", "exported_namespace", "kubernetes_namespace", "tenant")
Span = tuple[Timestamp, Timestamp]


def labelled_metrics(source: PrometheusSource, models: ModelLabels, span: Span) -> dict[str, ModelLabels]:
    """Return the metrics whose series name a model -> the labels that do; failed queries are ignored.

    models: mapping that is preferred; its metrics carry all of its labels. For others version and project are constants
    until `completed`.
    """
    found = dict.fromkeys(_metrics(source, [part.label for part in _parts(models) if part.const is None], span), models)
    known = _labels(source, "", span)
    for label in (label for label in PIPELINES if label in known):
        mapping = ModelLabels(LabelRef(const="default"), LabelRef(label), LabelRef(const="live"))
        for metric in _metrics(source, [label], span):
            found.setdefault(metric, mapping)
    return found


def completed(source: PrometheusSource, metric: str, mapping: ModelLabels, span: Span) -> ModelLabels:
    """Return the mapping with labels of the metric's series for project and version, where they have such."""
    known = _labels(source, f'{{__name__="{metric}"}}', span)
    project, version = (
        next((LabelRef(label) for label in labels if label in known and label != mapping.pipeline.label), part)
        if part.const is not None
        else part
        for labels, part in ((PROJECTS, mapping.project), (VERSIONS, mapping.version))
    )
    return ModelLabels(project, mapping.pipeline, version)


def mapping_text(mapping: ModelLabels) -> str:
    """Return the mapping as YAML on one line."""
    named: Mapping[str, LabelRef] = dict(zip(("project", "pipeline", "version"), _parts(mapping), strict=True))
    parts = (
        f"{name}: {part.label if part.label.isidentifier() else json.dumps(part.label)}"
        if part.const is None
        else f"{name}: {{const: {json.dumps(part.const)}}}"
        for name, part in named.items()
    )
    return f"{{{', '.join(parts)}}}"


def _parts(mapping: ModelLabels) -> tuple[LabelRef, LabelRef, LabelRef]:
    return mapping.project, mapping.pipeline, mapping.version


def _metrics(source: PrometheusSource, labels: Collection[str], span: Span) -> list[str]:
    matchers = ",".join(f'{label if label.isidentifier() else json.dumps(label)}!=""' for label in labels)
    try:
        return source.metric_names(f"{{{matchers}}}", *span) if matchers else []
    except SourceError:
        return []


def _labels(source: PrometheusSource, selector: str, span: Span) -> list[str]:
    try:
        return source.label_names(selector, *span)
    except SourceError:
        return []
