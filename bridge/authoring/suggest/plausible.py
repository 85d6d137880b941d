"""Doubts about metrics: quantiles that contradict the mean, and metrics that are named like those of a pack."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from bridge.authoring.suggest import rule_packs
from bridge.authoring.suggest.selectors import metric_names
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey
from bridge.domain.rule import SignalQuery
from bridge.domain.times import Timestamp
from bridge.sources.prometheus import PrometheusSource

FAR_BELOW = 20.0  # a mean so many times a 95 % quantile would need a tail that no server has
ALIKE = 2  # metrics of one server's names make a look-alike; one alone is a coincidence
_PART = re.compile(r"_(?:bucket|sum|count|total)$")
SHORTEST = 12  # characters of a name without its prefix that is taken for a look-alike


def implausible(source: PrometheusSource, quantile: SignalQuery, mean: SignalQuery, now: Timestamp) -> str:
    """Return why the quantiles of a latency cannot be right beside its means; "" if they can, or if that is unknown."""
    try:
        high, middle = _milliseconds(source, quantile, now), _milliseconds(source, mean, now)
    except SourceError:
        return ""
    for model in sorted(high.keys() & middle.keys()):
        if 0 <= high[model] * FAR_BELOW < middle[model]:
            return f"{quantile.name} of {model} is {_shown(high[model])} beside a mean of {_shown(middle[model])}"
    return ""


def look_alikes(names: Iterable[str]) -> Iterator[str]:
    """Yield a note for each prefix under which a Prometheus has metrics of a pack's server."""
    bare: dict[str, list[tuple[str, str]]] = {}  # name without prefix -> the servers and prefixes that have it
    for pack in rule_packs.PACKS:
        for prefix in (prefix for prefix in pack.own if prefix.endswith((":", "_"))):
            for name in (name for name in _queried(pack) if name.startswith(prefix)):
                bare.setdefault(name.removeprefix(prefix), []).append((pack.server, prefix))
    own = tuple(prefix for pack in rule_packs.PACKS for prefix in pack.own)
    found: dict[str, Counter[tuple[str, str]]] = {}
    ends: dict[str, dict[str, str]] = {}
    for name in sorted(name for name in names if not name.startswith(own)):
        end = max((end for end in bare if len(end) >= SHORTEST and name.endswith(end)), key=len, default="")
        if end and name != end:
            other = name.removesuffix(end)
            found.setdefault(other, Counter()).update(bare[end])
            ends.setdefault(other, {})[_PART.sub("", end)] = name
    for other, servers in found.items():
        (server, prefix), _ = servers.most_common(1)[0]
        if len(ends[other]) < ALIKE:
            continue
        first = next(iter(ends[other].values()))
        yield f"{first} looks like a metric of {server}: copy its pack, with {other} in place of {prefix}"


def _queried(pack: rule_packs.Pack) -> set[str]:
    _, groups = rule_packs.read(pack.text(), pack.name)
    queries = (query for group in groups for query in group.queries.values())
    return {name for query in queries for text in query.exprs.values() for name in metric_names(text)}


def _milliseconds(source: PrometheusSource, query: SignalQuery, now: Timestamp) -> dict[ModelKey, float]:
    batch = source.instant(query, now, now)
    values = batch.values() * query.unit_ms
    pairs = zip(batch.index.tolist(), values.tolist(), strict=True)
    return {batch.table[row]: value for row, value in pairs if np.isfinite(value)}


def _shown(milliseconds: float) -> str:
    return f"{milliseconds * 1000:.3g} µs" if milliseconds < 1 else f"{milliseconds:.3g} ms"
