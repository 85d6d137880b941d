"""Labels under which models are siblings, found in Prometheus; and configured labels that no signal carries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from bridge.config.load import BridgeConfig
from bridge.domain.errors import Problem, SourceError
from bridge.domain.label_names import in_promql
from bridge.domain.rule import RuleKind, SharedCauses
from bridge.domain.times import Timestamp
from bridge.sources.prometheus import PrometheusSource

LINT = "sibling-labels"
MOST_LABELS = 40  # label names that are checked
SHOWN = 4
_NO_CAUSE = {"__name__", "job", "le", "quantile"}  # say what a series measures, not where its model runs
_labels = msgspec.json.Decoder(dict[str, str])


def sibling_labels(config: BridgeConfig, source: PrometheusSource, now: Timestamp) -> Iterator[Problem]:
    """Yield a warning when labels are candidates for `gates.shared_cause`, or configured and not on any signal."""
    settings = config.gates.shared_cause
    if settings is None:
        found = candidates(config, source, now)
        if found:
            text = ", ".join(f"{label} ({sets} values with 3 models or more)" for label, sets in found[:SHOWN])
            hint = f"gates: {{shared_cause: {{labels: [{', '.join(label for label, _ in found[:SHOWN])}]}}}}"
            yield Problem(str(config.path), 0, "gates", f"models have label values in common: {text}", hint, LINT)
    else:
        yield from _missing(config, settings, source, now)


def candidates(config: BridgeConfig, source: PrometheusSource, now: Timestamp) -> list[tuple[str, int]]:
    """Return labels that at least two values share among three pipelines each, with the number of such values."""
    parts = [part.label for part in (config.models.project, config.models.pipeline) if part.const is None]
    if not parts:
        return []
    parts_of_model, parts = parts, [in_promql(part) for part in parts]
    version = config.models.version.label if config.models.version.const is None else ""
    matchers = ",".join(f'{part}!=""' for part in parts)
    found = []
    try:
        names = source.label_names(f"{{{matchers}}}", now - 3_600_000, now)
        usable = [name for name in names if name not in {*parts_of_model, version, *_NO_CAUSE}]
        for label in usable[:MOST_LABELS]:
            name = in_promql(label)
            expr = f'count by ({name}) (group by ({",".join((name, *parts))}) ({{{matchers},{name}!=""}}))'
            sets = sum(sample.value >= SharedCauses().min_models for sample in source.evaluate(expr, now))
            if sets >= 2:
                found.append((label, sets))
    except SourceError:
        return []
    return sorted(found, key=lambda item: (-item[1], item[0]))


def _missing(
    config: BridgeConfig, settings: SharedCauses, source: PrometheusSource, now: Timestamp
) -> Iterator[Problem]:
    """Yield a warning for each label that no series of the rules' signals has."""
    seen: dict[str, set[str]] = defaultdict(set)
    for group in config.groups:
        for rule in group.rules:
            for name in rule.queries if rule.kind is RuleKind.RETRAIN else ():
                try:
                    batch = source.instant(group.queries[name], now, now - group.offset)
                except SourceError:
                    return
                for text in batch.series:
                    seen[name].update(_labels.decode(text))
    present = set().union(*seen.values())
    for label in settings.labels:
        if label not in present and label != "project" and present:
            message = f"no signal of a rule has the label {label!r}, so it makes no models siblings"
            hint = f"add {label} to `by (...)` of the signals, or join it with group_left"
            yield Problem(str(config.path), 0, "gates.shared_cause.labels", message, hint, LINT)
