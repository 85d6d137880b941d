"""What only Prometheus can tell about a configuration: its expressions are asked once, and names that it does not know
are looked up among those that it does.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bridge.config.load import BridgeConfig, load
from bridge.domain.errors import Problem, SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import Group, ModelLabels, Rule, SignalQuery
from bridge.domain.times import Timestamp
from bridge.sources.prometheus import PrometheusSource

_TEXTS_AND_RANGES = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|\[[^\]]*\]|#[^\n]*""")
_LABELS = re.compile(r"\{[^}]*\}|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"(?<![\w:])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])")
_WORDS = frozenset(
    {
        "and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right",
        "atan2", "inf", "nan", "sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values",
        "bottomk", "topk", "quantile", "limitk", "limit_ratio", "start", "end",
    }
)  # fmt: skip


def ask_prometheus(
    path: Path,
    now: Timestamp,
    doubts: Callable[[BridgeConfig, PrometheusSource, Timestamp], list[Problem]] | None = None,
) -> list[Problem]:
    """Every problem that a good configuration has with its Prometheus at `now`, in file order. Raises ConfigError.

    doubts: also looked for, when there are no errors.
    """
    config = load(path)
    timeout = config.global_.query_timeout / 1000
    source = PrometheusSource(config.prometheus, ModelTable(), config.base_dir, timeout=timeout)
    try:
        found = sorted(_problems(config, source, now))
        return (
            found if doubts is None or any(not item.lint for item in found) else [*found, *doubts(config, source, now)]
        )
    except SourceError as error:
        return [Problem(str(path), 0, "prometheus", str(error))]
    finally:
        source.close()


def metric_names(expression: str) -> set[str]:
    """Names in an expression that can only be metrics."""
    bare = _LABELS.sub(" ", _TEXTS_AND_RANGES.sub(" ", expression))
    return {name for name in _NAME.findall(bare) if name.lower() not in _WORDS}


def _problems(config: BridgeConfig, source: PrometheusSource, now: Timestamp) -> Iterator[Problem]:
    metrics, labels = source.metric_names(), source.label_names()
    for group in config.groups:
        for name, query in group.queries.items():
            rule = next(rule for rule in group.rules if rule.query == name)
            for message, hint, lint in _of_query(group, query, rule, source, metrics, labels, now):
                yield Problem(rule.file, rule.line, rule.name, message, hint, lint)


def _of_query(
    group: Group, query: SignalQuery, rule: Rule, source: PrometheusSource, metrics: list[str], labels: list[str],
    now: Timestamp,
) -> Iterator[tuple[str, str, str]]:  # fmt: skip
    unknown = sorted({name for text in query.exprs.values() for name in metric_names(text)} - set(metrics))
    for name in unknown:
        yield f"Prometheus knows no metric {name!r}", _did_you_mean(name, metrics), ""
    if unknown:
        return
    try:
        batch = source.instant(query, now, now - group.offset)
    except SourceError as error:
        yield str(error), "", ""
        return
    for label in _mapped(query.mapping) if batch.skipped.get("missing_label") else ():
        if label not in labels:
            yield f"no series in Prometheus has the label {label!r} of a model", _did_you_mean(label, labels), ""
    if not len(batch) and rule.strategy is not None:  # the answer of a plain expression is empty while all is well
        yield f"signal {query.name!r} has no sample of any model now", "", "no-sample"


def _mapped(mapping: ModelLabels) -> Iterator[str]:
    parts = (mapping.project, mapping.pipeline, mapping.version)
    return (part.label for part in parts if part.const is None)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"did you mean {close[0]!r}?" if close else ""
