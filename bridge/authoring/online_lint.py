"""Doubts that only a Prometheus can raise: limits far from what is measured, models that no rule looks at."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from bridge.authoring.lint import Doubt
from bridge.authoring.online import metric_names
from bridge.config.load import BridgeConfig
from bridge.domain.batch import VALUE, EventKind
from bridge.domain.errors import Problem, SourceError
from bridge.domain.model import ModelKey
from bridge.domain.rule import Group, ModelLabels, Rule, SignalQuery
from bridge.domain.times import DAY, HOUR, MINUTE, Duration, Timestamp, format_duration
from bridge.sources.prometheus import PrometheusSource

LOOKED_AT: Duration = DAY
POINTS = 24
FAR = 50.0  # times the highest value that was measured
SHOWN = 3
_PLAIN = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def doubts(config: BridgeConfig, source: PrometheusSource, now: Timestamp) -> list[Problem]:
    """Every doubt, in file order; what cannot be asked raises none."""
    found: list[Problem] = []
    seen: set[ModelKey] = set()
    for group in config.groups:
        for rule in group.rules:
            found += [
                Problem(rule.file, rule.line, rule.name, doubt.message, doubt.hint, doubt.lint)
                for doubt in _of_rule(group, rule, source, now, seen)
            ]
    if config.groups:
        found += _uncovered(config, source, now, seen)
    return sorted(found)


def _of_rule(
    group: Group, rule: Rule, source: PrometheusSource, now: Timestamp, seen: set[ModelKey]
) -> Iterator[Doubt]:
    for name in rule.queries:
        query = group.queries[name]
        measured = _measured(query, source, now - group.offset, seen)
        if rule.strategy is not None and rule.strategy.name == "threshold" and measured is not None:
            yield from _against(query, dict(rule.strategy.params), *measured)
        for text in query.exprs.values():
            yield from _scraped(rule, text, source, now)


def _measured(
    query: SignalQuery, source: PrometheusSource, now: Timestamp, seen: set[ModelKey]
) -> tuple[float, float] | None:
    """The lowest and highest value of the last day, at POINTS instants; its models are noted in `seen`."""
    step = LOOKED_AT // POINTS
    low, high = np.inf, -np.inf
    try:
        for batch in source.history(query, range(now - LOOKED_AT + step, now + 1, step), 0):
            seen.update(batch.table[slot] for slot in batch.index.tolist())
            values = batch.values()[np.isfinite(batch.values())] if len(batch) else np.empty(0)
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
    except SourceError:
        return None
    return (low, high) if low <= high else None


def _against(query: SignalQuery, params: dict[str, float], low: float, high: float) -> Iterator[Doubt]:
    """A limit that everything is past, or that nothing comes near."""
    day = f"in the last {format_duration(LOOKED_AT)}"
    top, bottom = params.get("max"), params.get("min")
    said = ""
    if top is not None and low > top:
        said, name = f"never below {low:.4g} {day}, and max is {top:g}", "always-breached"
    elif bottom is not None and high < bottom:
        said, name = f"never above {high:.4g} {day}, and min is {bottom:g}", "always-breached"
    elif top is not None and 0 < high * FAR < top and query.event is not EventKind.DRIFT:
        said, name = f"never above {high:.4g} {day}, and max is {top:g}", "far-from-measured"
    if said:
        yield Doubt(name, f"{query.name} was {said}", "check the unit")


def _scraped(rule: Rule, text: str, source: PrometheusSource, now: Timestamp) -> Iterator[Doubt]:
    """`for` shorter than the time between two samples: one sample would decide."""
    if not rule.for_:
        return
    for name in sorted(metric_names(text))[:1]:
        count = _count(f"max(count_over_time({name}[1h]))", source, now)
        if count and rule.for_ < (every := round(HOUR / count)):
            message = f"for ({format_duration(rule.for_)}) is shorter than the time between two samples of {name}"
            yield Doubt(
                "shorter-than-scrape",
                f"{message} ({format_duration(max(1000, every // 1000 * 1000))})",
                "make it longer",
            )


def _count(expr: str, source: PrometheusSource, now: Timestamp) -> float:
    labels = ModelLabels.constant("x")
    try:
        batch = source.instant(SignalQuery("count", EventKind.CUSTOM, {VALUE: expr}, labels), now, now)
    except SourceError:
        return 0.0
    return float(batch.values()[0]) if len(batch) else 0.0


def _uncovered(
    config: BridgeConfig, source: PrometheusSource, now: Timestamp, seen: set[ModelKey]
) -> Iterator[Problem]:
    """Models whose series carry the labels of bridge.yml, and of which no rule has a number."""
    parts = (config.models.project, config.models.pipeline, config.models.version)
    names = [part.label for part in parts if part.const is None]
    if not all(_PLAIN.fullmatch(name) for name in names) or not names:
        return
    there = ",".join(f'{name}!=""' for name in names)
    query = SignalQuery(
        "models", EventKind.CUSTOM, {VALUE: f"group by ({','.join(names)}) ({{{there}}})"}, config.models
    )
    try:
        batch = source.instant(query, now - MINUTE, now - MINUTE)
    except SourceError:
        return
    missing = sorted({batch.table[slot] for slot in batch.index.tolist()} - seen)
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        message = f"no rule has a number of {', '.join(map(str, missing[:SHOWN]))}{more}"
        file = config.groups[0].file
        yield Problem(file, 0, "", message, "their series carry a model's labels", "uncovered-model")
