"""Candidate metrics: probable model signals outside the rule packs, by their labels first, then by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from bridge.domain.errors import SourceError
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
    ("errors", r"(?:error|fail|exception)\w*_total$"),
    ("latency", r"latency|duration|_seconds|_milliseconds|_ms(?:_|$)|_microseconds"),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Metric that could become a signal.

    expr: suggested expression.
    labelled: its series carry model labels.
    """

    metric: str
    kind: str
    expr: str
    labelled: bool


def candidates(
    source: PrometheusSource, names: Iterable[str], models: ModelLabels, span: tuple[Timestamp, Timestamp]
) -> list[Candidate]:
    """Return up to MOST candidates, those with the labels of `models` first; failed queries are ignored."""
    known = {name for name in names if len(name) <= LONGEST_NAME and _OTHERS.match(name) is None}
    labelled = _labelled(source, models, span)
    by = [part.label for part in (models.project, models.pipeline, models.version) if part.const is None]
    ranked = [*_of(known & labelled, True, by), *_of(known - labelled, False, by)]
    return ranked[:MOST]


def _of(names: Set[str], labelled: bool, by: list[str]) -> Iterator[Candidate]:
    for name in sorted(names):
        kind = _kind(name)
        if kind and (labelled or kind in {"drift", "quality"} or _MODEL.search(name)):
            yield Candidate(name, kind, _expr(name, kind, by), labelled)


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


def _labelled(source: PrometheusSource, models: ModelLabels, span: tuple[Timestamp, Timestamp]) -> set[str]:
    """Return names of metrics whose series carry all labels of a model."""
    parts = (models.project, models.pipeline, models.version)
    matchers = ",".join(f'{part.label}!=""' for part in parts if part.const is None)
    try:
        return set(source.metric_names(f"{{{matchers}}}", *span)) if matchers else set()
    except SourceError:
        return set()
