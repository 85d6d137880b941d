"""Candidate metrics: probable model signals outside the rule packs, by their labels first, then by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.authoring.suggest.mappings import completed, labelled_metrics, mapping_text
from bridge.domain.label_names import in_promql
from bridge.domain.rule import ModelLabels
from bridge.domain.times import Timestamp
from bridge.sources.prometheus import PrometheusSource

MOST = 10
LONGEST_NAME = 500
_OTHERS = re.compile(
    r"(?:go|process|python|prometheus|alertmanager|grafana|retrain_bridge|scrape|node|kube|container|machine|cadvisor"
    r"|etcd|apiserver|kubelet|coredns|net_conntrack|promhttp|up|ALERTS)(?:_|$)"
)
_PARTS = re.compile(r"_(?:sum|count|created)$")
# Latencies and errors may belong to any service; with such a word in its name, the metric belongs to a model.
_MODEL = re.compile(r"model|predict|inference|infer_|serving|classif|recommend|rank", re.IGNORECASE)
_KINDS = (
    ("drift", r"drift|(?:^|_)psi(?:_|$)|divergence|wasserstein|skew"),
    ("quality", r"accuracy|precision|recall|(?:^|_)(?:auc|f1|mae|mape)(?:_|$)|rmse|log_?loss"),
    ("errors", r"(?:error|fail|exception|abort)\w*_total$"),
    ("latency", r"latency|duration|_seconds|_milliseconds|_ms(?:_|$)|_microseconds"),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Metric that could become a signal.

    expr: suggested expression.
    labelled: its series name a model.
    mapping: labels that name the model; None where the configured ones do.
    """

    metric: str
    kind: str
    expr: str
    labelled: bool
    mapping: ModelLabels | None = None

    def to_json(self) -> dict[str, object]:
        """Return the candidate as JSON types; `models` is the mapping as YAML."""
        found = {"metric": self.metric, "kind": self.kind, "expr": self.expr, "labelled": self.labelled}
        return found | ({} if self.mapping is None else {"models": mapping_text(self.mapping)})


def candidates(
    source: PrometheusSource, names: Iterable[str], models: ModelLabels, span: tuple[Timestamp, Timestamp]
) -> list[Candidate]:
    """Return up to MOST candidates, those whose series name a model first; failed queries are ignored."""
    known = {name for name in names if len(name) <= LONGEST_NAME and _OTHERS.match(name) is None}
    labelled = labelled_metrics(source, models, span)
    ranked = sorted(known, key=lambda name: (labelled.get(name) != models, name not in labelled, name))
    found: list[Candidate] = []
    for name in ranked:
        kind = _kind(name)
        if len(found) < MOST and kind and (name in labelled or kind in {"drift", "quality"} or _MODEL.search(name)):
            mapping = labelled.get(name, models)
            if mapping != models:
                mapping = completed(source, name, mapping, span)
            by = [
                in_promql(part.label)
                for part in (mapping.project, mapping.pipeline, mapping.version)
                if part.const is None
            ]
            own = None if mapping == models else mapping
            found.append(Candidate(name, kind, _expr(name, kind, by), name in labelled, own))
    return found


def _kind(name: str) -> str:
    if _PARTS.search(name):
        return ""
    kind = next((kind for kind, pattern in _KINDS if re.search(pattern, name, re.IGNORECASE)), "")
    # a counter of seconds or of checks cannot be compared with a limit
    return "" if kind != "errors" and name.endswith("_total") else kind


def _expr(name: str, kind: str, by: list[str]) -> str:
    if name.endswith("_bucket"):
        return f"histogram_quantile(0.95, sum by ({', '.join([*by, 'le'])}) (rate({name}[$window])))"
    if kind == "errors":
        return f"sum by ({', '.join(by)}) (increase({name}[$window]))"
    return f"{'avg' if kind == 'quality' else 'max'} by ({', '.join(by)}) ({name})"
